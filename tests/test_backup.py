"""Backups: byte-identical restore, only new content is sent, damage is named, nothing is written outside the folder, kills lose nothing."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from pixel_synth.cli import main
from pixel_synth.errors import RunError, UsageError
from pixel_synth.jsonl import sha256_of
from pixel_synth.prove import backup as backups
from pixel_synth.prove.audit import Audit
from pixel_synth.prove.backup import backup, check, inventory, prune
from pixel_synth.prove.restore import restore
from pixel_synth.prove.store import Store, shown


@pytest.fixture
def run(tmp_path: Path) -> Path:
    root = tmp_path / "runs" / "dataset-001"
    for name, text in {
        "run.json": "{}",
        "data/train.jsonl": "größer\n" * 500,
        "data/empty.jsonl": "",
        "data/same.jsonl": "größer\n" * 500,
        "stages/01-gather/kept.jsonl": "call me on 555\n",
        "private/redactions.jsonl": "Robin\n",
        ".lock": "abc",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "figures" / "none").mkdir(parents=True)
    (root / "stages").chmod(0o700)
    (root / "private" / "redactions.jsonl").chmod(0o600)
    files = {"data/train.jsonl": {"sha256": sha256_of(root / "data" / "train.jsonl"), "bytes": 4000}}
    (root / "manifest.json").write_text(json.dumps({"files": files}))
    return root


@pytest.fixture
def url(tmp_path: Path) -> str:
    return (tmp_path / "store").as_uri()


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {p.relative_to(folder).as_posix(): (p.stat().st_mode & 0o777, p.read_bytes() if p.is_file() else b"") for p in folder.rglob("*")}


def objects(tmp_path: Path) -> list[Path]:
    return [p for p in (tmp_path / "store" / "objects").rglob("*") if p.is_file()]


@pytest.mark.parametrize("where", ["file", "memory"])
@pytest.mark.parametrize("private", [False, True])
def test_a_restore_is_byte_identical_and_personal_data_goes_only_when_asked(run: Path, tmp_path: Path, where: str, private: bool) -> None:
    url = (tmp_path / "store").as_uri() if where == "file" else f"memory://{tmp_path.name}"
    before = tree(run)
    done = backup(run, url, private=private)
    assert done.differs == ()
    assert ("private/: may hold" in " ".join(done.left_out)) == ("stages/: may hold" in " ".join(done.left_out)) == (not private)
    back = restore(url, tmp_path / "back")
    wanted = {n: v for n, v in before.items() if n != ".lock" and (private or not n.startswith(("private", "stages")))}
    assert tree(tmp_path / "back") == wanted
    assert (back.run, back.files, back.damaged) == ("dataset-001", done.files, ())


def test_only_what_is_new_is_sent_and_equal_content_once(run: Path, url: str, tmp_path: Path) -> None:
    planned = backup(run, url, dry_run=True)
    assert not (tmp_path / "store").exists()
    first = backup(run, url)
    assert (planned.sent, planned.sent_bytes, planned.name) == (first.sent, first.sent_bytes, "")
    assert first.sent == 3 == len(objects(tmp_path))  # of five files one is empty and two are the same
    assert backup(run, url).sent == 0
    (run / "data" / "train.jsonl").write_text("new\n")
    third = backup(run, url)
    assert (third.sent, third.differs) == (1, ("data/train.jsonl",))  # not as the manifest says


def test_files_of_several_chunks_come_back_and_share_what_is_equal(
    run: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "CHUNK", 1000)
    (run / "data" / "train.jsonl").write_bytes(bytes(range(250)) * 11)
    first = backup(run, url)
    (run / "data" / "train.jsonl").write_bytes(bytes(range(250)) * 11 + b"more")
    assert backup(run, url).sent == 1
    assert first.sent > 3
    restore(url, tmp_path / "back")
    assert (tmp_path / "back" / "data" / "train.jsonl").read_bytes() == bytes(range(250)) * 11 + b"more"


@pytest.mark.parametrize("how", ["changed", "cut", "gone"])
def test_a_damaged_object_is_named_and_the_rest_restored(run: Path, url: str, tmp_path: Path, how: str) -> None:
    backup(run, url)
    digest = sha256_of(run / "data" / "train.jsonl")
    path = tmp_path / "store" / "objects" / digest[:2] / digest
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(data[:-3] if how == "cut" else data[:-1] + bytes([data[-1] ^ 1]))
    found = check(url)
    assert [d.name for d in found.damage] == [f"objects/{digest[:2]}/{digest}"]
    assert {f.split(": ")[1] for f in found.files} == {"data/train.jsonl", "data/same.jsonl"}
    back = restore(url, tmp_path / "back")
    assert [d.split(":")[0] for d in back.damaged] == ["data/same.jsonl", "data/train.jsonl"]
    assert (tmp_path / "back" / "run.json").read_text() == "{}"
    assert not (tmp_path / "back" / "data" / "train.jsonl").exists()
    assert main(["backup", "--verify", url]) == 1
    assert main(["restore", url, str(tmp_path / "again")]) == 1


def test_an_object_that_says_it_is_huge_is_not_unpacked(run: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backup(run, url)
    monkeypatch.setattr("pixel_synth.prove.store.CHUNK", 100)
    assert any("unpacks to more" in d for d in restore(url, tmp_path / "back").damaged)


@pytest.mark.parametrize("path", ["../out", "/etc/out", "a/../../out", "a\\b", "", "."])
def test_a_snapshot_that_names_a_path_outside_is_refused(run: Path, url: str, tmp_path: Path, path: str) -> None:
    store = Store(url)
    made = store.snapshot(backup(run, url).name)
    kept = made.files["run.json"]
    store.keep(made.model_copy(update={"files": {path: kept}, "at": "2999-01-01T00:00:00.000Z"}))
    with pytest.raises(RunError, match="outside its folder"):
        restore(url, tmp_path / "back")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["runs", "store"]


def test_a_changed_snapshot_is_refused_and_stops_pruning(run: Path, url: str, tmp_path: Path) -> None:
    name = backup(run, url).name
    path = tmp_path / "store" / "snapshots" / f"{name}.json"
    path.write_text(path.read_text().replace('"mode": 420', '"mode": 511', 1))
    with pytest.raises(RunError, match="changed after it was written"):
        restore(url, tmp_path / "back")
    with pytest.raises(RunError, match="nothing is pruned"):
        prune(url, "dataset-001", 1)
    assert check(url).damage[0].name == f"snapshots/{name}.json"


def test_links_are_left_out_and_never_followed(run: Path, url: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (run / "data" / "link").symlink_to(tmp_path / "secret")
    (run / "away").symlink_to(tmp_path)
    found = inventory(run, private=True)
    assert {line.split(":")[0] for line in found.left_out} == {"data/link", "away"}
    assert not any("secret" in name for name in found.files)


def test_nothing_is_overwritten(run: Path, url: str, tmp_path: Path) -> None:
    backup(run, url)
    (tmp_path / "back").mkdir()
    restore(url, tmp_path / "back")
    with pytest.raises(RunError, match="not empty"):
        restore(url, tmp_path / "back")


def test_pruning_keeps_the_newest_of_the_run_and_what_others_need(run: Path, url: str, tmp_path: Path) -> None:
    other = run.with_name("dataset-002")
    other.mkdir()
    (other / "run.json").write_text("other")
    backup(other, url)
    for text in ("one", "two", "three"):
        (run / "run.json").write_text(text)
        backup(run, url)
    (tmp_path / "store" / "objects" / "ab").mkdir(exist_ok=True)
    (tmp_path / "store" / "objects" / "ab" / ".x.part").write_text("left by a kill")
    done = prune(url, "dataset-001", 1)
    assert (len(done.snapshots), done.objects) == (2, 2)
    assert check(url).damage == ()
    assert not any(p.suffix == ".part" for p in objects(tmp_path))
    restore(url, tmp_path / "a", run="dataset-002")
    restore(url, tmp_path / "b")
    assert ((tmp_path / "a" / "run.json").read_text(), (tmp_path / "b" / "run.json").read_text()) == ("other", "three")
    with pytest.raises(UsageError, match="at least 1"):
        prune(url, "dataset-001", 0)


def test_a_run_in_use_is_not_backed_up(run: Path, url: str) -> None:
    with (run / ".lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="in use"):
            backup(run, url)


def test_a_backup_stands_in_the_audit_trail(run: Path, url: str) -> None:
    Audit(run).append("begin", "run")
    name = backup(run, url).name
    entry = list(Audit(run).entries())[-1]
    assert (entry.action, entry.subject, entry.details["url"]) == ("backup", name, url)


def test_a_killed_backup_is_none_and_goes_on_when_called_again(run: Path, url: str, tmp_path: Path) -> None:
    for number in range(30):
        (run / "data" / f"{number}.bin").write_bytes(os.urandom(20_000))
    code = (
        "import sys, time; from pathlib import Path; from pixel_synth.prove.backup import backup\n"
        "backup(Path(sys.argv[1]), sys.argv[2], progress=lambda done, total: (print(done, flush=True), time.sleep(.03)))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(run), url], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for _ in range(8):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert Store(url).names() == []
    with pytest.raises(RunError, match="no snapshot"):
        check(url)
    there = len(objects(tmp_path))
    done = backup(run, url)
    assert there >= 7
    assert done.sent < 33 - 6
    restore(url, tmp_path / "back")
    assert {n for n in tree(tmp_path / "back") if n.endswith(".bin")} == {f"data/{n}.bin" for n in range(30)}
    assert check(url).damage == ()


def test_a_restore_that_was_killed_goes_on_with_what_is_whole(run: Path, url: str, tmp_path: Path) -> None:
    backup(run, url)
    working = tmp_path / ".back.restoring"
    (working / "data" / "odd").mkdir(parents=True)
    (working / "data" / "train.jsonl").write_text("half")
    (working / "data" / "stray").write_text("of another snapshot")
    (working / "run.json").symlink_to(tmp_path / "elsewhere")
    restore(url, tmp_path / "back")
    assert (tmp_path / "back" / "data" / "train.jsonl").read_bytes() == (run / "data" / "train.jsonl").read_bytes()
    assert not (tmp_path / "back" / "data" / "stray").exists()
    assert not (tmp_path / "elsewhere").exists()
    assert not working.exists()


def test_commands_tell_what_they_do(run: Path, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backup", str(run), url, "--dry-run"]) == 0
    assert "dry run" in capsys.readouterr().out
    assert main(["backup", str(run), url, "--keep", "1"]) == 0
    told = capsys.readouterr().out
    assert "private/" in told
    assert "stages/" in told
    assert main(["backup", "--list", url]) == 0
    assert "dataset-001" in capsys.readouterr().out
    assert main(["backup", "--verify", url]) == 0
    assert main(["restore", url, str(tmp_path / "back")]) == 0
    assert main(["backup", str(run)]) == 2
    assert main(["backup", str(run), "nothing://x"]) == 2


def test_passwords_in_urls_are_not_shown() -> None:
    assert shown("sftp://me:secret@host/folder?key=1") == "sftp://host/folder"
    assert shown("memory://a@b") == "memory://b"
    assert fsspec.filesystem("memory")
