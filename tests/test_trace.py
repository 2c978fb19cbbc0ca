"""Following a record: every stage's word on it is there, and a file that was changed since is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pixel_synth.cli import main
from pixel_synth.errors import RunError, UsageError
from pixel_synth.jsonl import sha256_of
from pixel_synth.prove.audit import Audit, changed_files
from pixel_synth.prove.places import NAME, Places
from pixel_synth.prove.trace import lines, trace

KEPT, GONE, COPY = "aaaa000000000001", "bbbb000000000002", "cccc000000000003"


def row(id: str, **more: Any) -> dict[str, Any]:
    """A record as the stages write it; only what is read of it."""
    messages = [{"role": "user", "content": "Mail me at a@b.org"}, {"role": "assistant", "content": "I hear you."}]
    where = {"source": "counsel_chat", "license": "MIT", "engine": "human", "model": "", "row": "talks.csv:7", "revision": "r1"}
    return {"id": id, "category": "mental_health", "messages": messages, "provenance": where, **more}


def reject(id: str, reason: str, **more: Any) -> dict[str, Any]:
    return {"stage": "x", "reason": reason, "file": 'a"row":1,"id":"nope"', "row": 3, "id": id, **more}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    clean = {
        "messages": [{"role": "user", "content": "Mail me at [email_1]"}, {"role": "assistant", "content": "I hear you."}],
        "redactions": [{"kind": "email", "count": 1}],
    }
    scored = {
        **clean,
        "scores": [{"metric": "overall", "value": 0.9}],
        "verdict": {"accepted": True, "reasons": [], "review": ["drawn: x"]},
    }
    finding = {"id": KEPT, "finding": {"field": "messages.content", "turn": 0, "kind": "email", "text": "a@b.org"}}
    members = [
        {"id": KEPT, "kept": True, "why": "better quality"},
        {"id": COPY, "kept": False, "keeper": KEPT, "how": "near", "similarity": 0.91},
    ]
    files = {
        "stages/01-gather/kept.jsonl": [row(KEPT), row(GONE), row(COPY)],
        "stages/02-screen/kept.jsonl": [row(KEPT, **clean), row(COPY)],
        "stages/02-screen/rejects.jsonl": [reject(GONE, "language: es 0.9; wanted en")],
        "private/redactions.jsonl": [finding],
        "stages/03-deduplicate/kept.jsonl": [row(KEPT, **clean)],
        "stages/03-deduplicate/rejects.jsonl": [reject(COPY, "near duplicate")],
        "stages/03-deduplicate/clusters.jsonl": [{"id": "dddd", "members": members}],
        "stages/03-deduplicate/similar.jsonl": [{"a": KEPT, "b": "eeee", "kind": "near", "similarity": 0.6}],
        "stages/04-score/kept.jsonl": [row(KEPT, **scored)],
        "data/train.jsonl": [row(KEPT, **scored)],
    }
    for name, rows in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(r, separators=(",", ":")) + "\n" for r in rows))
    for folder in sorted((tmp_path / "stages").iterdir()):
        outputs = {p.name: sha256_of(p) for p in folder.glob("*.jsonl")}
        (folder / "stage.json").write_text(json.dumps({"key": "k", "books": {}, "outputs": outputs}))
        Audit(tmp_path).stage(folder.name, also=[tmp_path / "private" / "redactions.jsonl"] if folder.name == "02-screen" else [])
    gate = {"limits": [{"metric": "overall", "least": 0.8, "standing": "refused", "why": "29 are fewer than 30"}]}
    (tmp_path / "run.json").write_text(json.dumps({"gate": gate}))
    data = tmp_path / "data" / "train.jsonl"
    (tmp_path / "manifest.json").write_text(json.dumps({"files": {"data/train.jsonl": {"sha256": sha256_of(data), "bytes": 1}}}))
    Audit(tmp_path).seal()
    return tmp_path


def test_the_way_of_a_record_is_told_from_its_source_to_its_split(run: Path) -> None:
    Audit(run, "Dr. Who").append("review", KEPT, verdict="good")
    found = trace(KEPT, run)
    assert [(e.file.split("/", 1)[-1], e.what.split(":")[0]) for e in found.events] == [
        ("01-gather/kept.jsonl", "kept"),
        ("redactions.jsonl", "taken out"),
        ("02-screen/kept.jsonl", "kept"),
        ("03-deduplicate/clusters.jsonl", "kept of 2 duplicates"),
        ("03-deduplicate/similar.jsonl", "may not be split from eeee (near 0.6)"),
        ("03-deduplicate/kept.jsonl", "kept"),
        ("04-score/kept.jsonl", "kept"),
        ("train.jsonl", "published in train"),
    ]
    told = "\n".join(lines(found))
    for words in ("talks.csv:7", "MIT", "redacted 1 email", "threshold 0.8 refused (29 are fewer than 30)", "drawn: x", "Dr. Who: review"):
        assert words in told
    assert "a@b.org" not in told  # the original stays in private/
    assert found.changed == ()
    assert all(f.whole and "line" in f.standing for f in found.files)


@pytest.mark.parametrize(("id", "told"), [(GONE, "rejected: language: es 0.9"), (COPY, "dropped as near duplicate of aaaa")])
def test_why_a_record_is_not_in_the_dataset_is_told(run: Path, id: str, told: str) -> None:
    assert told in "\n".join(lines(trace(id[:6], run)))


@pytest.mark.parametrize("name", ["stages/02-screen/kept.jsonl", "private/redactions.jsonl", "data/train.jsonl"])
def test_a_file_that_was_changed_since_is_told_also_by_an_index_made_before(run: Path, name: str) -> None:
    assert main(["audit", KEPT, "--run", str(run)]) == 0
    assert main(["audit", "--verify", str(run), "--files"]) == 0
    (run / name).write_text((run / name).read_text().replace("messages", "messages ", 1))
    assert [f.name for f in trace(KEPT, run).changed] == [name]
    assert changed_files(run) == [name]
    assert main(["audit", KEPT, "--run", str(run)]) == 1
    assert main(["audit", "--verify", str(run), "--files"]) == 1


def test_a_changed_list_in_the_manifest_is_told(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["files"] = {}
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert changed_files(run) == ["manifest.json"]


def test_the_index_reads_again_only_what_changed(run: Path) -> None:
    Places(run).close()
    read: list[int] = []
    Places(run, lambda done, total: read.append(total)).close()
    assert read == []
    path = run / "data" / "train.jsonl"
    path.write_text(path.read_text() * 2)
    (run / "stages" / "04-score" / "kept.jsonl").unlink()
    places = Places(run, lambda done, total: read.append(total))
    assert set(read) == {path.stat().st_size}
    assert [p.line for p in places.of(KEPT) if p.file == "data/train.jsonl"] == [1, 2]
    assert not [p for p in places.of(KEPT) if p.file.startswith("stages/04")]
    places.close()


def test_what_is_not_there_or_not_clear_is_an_error(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too short"):
        trace("aaa", run)
    with pytest.raises(RunError, match="in no file"):
        trace("ffff0000", run)
    with pytest.raises(RunError, match=r"run\.json"):
        trace(KEPT, tmp_path / "none")
    (run / NAME).write_text("no database, but long enough to be read as one" * 50)
    with pytest.raises(RunError, match="delete it"):
        trace(KEPT, run)


def test_the_command_wants_one_thing_at_a_time(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", KEPT]) == 2
    assert main(["audit", KEPT, "--run", str(run), "--verify", str(run)]) == 2
    assert main(["audit", KEPT, "--run", str(run), "--files"]) == 2
    capsys.readouterr()
    assert main(["audit", KEPT, "--run", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["record"]["id"] == KEPT
    assert main(["audit", "--verify", str(run)]) == 0
    head = capsys.readouterr().out.split()[1]
    path = run / "audit.jsonl"
    path.write_bytes(path.read_bytes().replace(b"03-dedup", b"03-dedUp"))
    assert main(["audit", "--verify", str(run), "--head", head]) == 1
    assert "audit.jsonl:3" in capsys.readouterr().err
    assert main(["audit", KEPT, "--run", str(run)]) == 1
    assert "trail itself is BROKEN: audit.jsonl:3" in capsys.readouterr().out
