"""Pushing a dataset to the Hub: what goes, what is refused, resuming, and what arrives; the real clients against a hub here."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub import Hub
from hypothesis import given
from hypothesis import strategies as st

from pixel_synth.cli import main
from pixel_synth.errors import SourceError
from pixel_synth.publish.hub import push
from pixel_synth.publish.hub_plan import PushPlan, goes, plan
from pixel_synth.records import Conversation, Message, Provenance
from pixel_synth.sources import hub_client

TOKEN = "hf_" + "writer" * 6
REPO = "org/mix"


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub_client, "WAIT_S", 0.01)
    monkeypatch.setenv("HF_TOKEN", TOKEN)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub(tokens={TOKEN: "org"}) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.endpoint)
        yield served


def record(n: int, **origin: str) -> Conversation:
    told = (Message(role="user", content=f"I cannot sleep, {n}."), Message(role="assistant", content="What keeps you awake?"))
    about = {"engine": "vllm", "model": "m", "toolkit": "0", "license": "CC-BY-4.0", "source": "a"} | origin
    return Conversation(id=f"{n:016x}", category="psychology", messages=told, provenance=Provenance(seed=0, **about))  # type: ignore[arg-type]


def make_run(folder: Path, records: list[Conversation], **info: object) -> Path:
    """Write what a finished dataset run holds: things to give away, and things that never leave."""
    text = "".join(r.line() + "\n" for r in records)
    files = {
        "README.md": b"# card\n",
        "data/train.jsonl": text.encode(),
        "data/train.jsonl.gz": gzip.compress(text.encode(), mtime=0),
        "data/rejected.jsonl": b"{}\n",
        "data/weights.bin": bytes(range(256)) * 40,
        "report.md": b"# report\n",
        "mix.json": b"{}",
        "private/redactions.jsonl": b'{"original": "Jane Roe"}\n',
        "stages/01-read/kept.jsonl": text.encode(),
        "audit.jsonl": b"{}\n",
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    entries = {name: {"sha256": hashlib.sha256(c).hexdigest(), "bytes": len(c)} for name, c in files.items()}
    (folder / "manifest.json").write_text(json.dumps({"files": entries}))
    (folder / "run.json").write_text(json.dumps({"reviewed": {"records": 3}, "version": "v1.0.0"} | info))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", [record(n) for n in range(5)])


GOING = {"README.md", "data/train.jsonl", "data/train.jsonl.gz", "data/weights.bin", "report.md", "mix.json"}


def test_a_plan_counts_records_licences_and_keeps_private_things_here(run: Path) -> None:
    found = plan(run)
    assert set(found.files) == GOING
    assert {"private/redactions.jsonl", "stages/01-read/kept.jsonl", "audit.jsonl", "run.json"} < set(found.stays)
    assert found.contents.records == 5
    assert (found.contents.licences, found.contents.engines, found.contents.sources) == ({"CC-BY-4.0": 5}, {"vllm": 5}, {"a": 5})
    assert (found.tag, found.message, found.refusals) == ("v1.0.0", "v1.0.0: 5 records in 6 files", ())


def test_the_version_comes_from_the_content_when_the_run_names_none(tmp_path: Path) -> None:
    one, same, other = (make_run(tmp_path / n, [record(k) for k in range(c)], version="") for n, c in (("a", 2), ("b", 2), ("c", 3)))
    assert plan(one).tag == plan(same).tag != plan(other).tag
    assert plan(one, tag="v9").tag == "v9"


@pytest.mark.parametrize(
    ("origin", "info", "flags", "refusal"),
    [
        ({}, {"reviewed": {"records": 0}}, {}, "no record was reviewed"),
        ({}, {"reviewed": {}}, {"allow_unreviewed": True}, ""),
        ({"engine": "composer"}, {}, {}, "only the composer wrote it"),
        ({"engine": "composer"}, {}, {"allow_composer": True}, ""),
        ({"license": "CC-BY-NC-ND-4.0"}, {}, {"public": True}, "a: CC-BY-NC-ND-4.0 does not allow changed copies"),
        ({"license": "CC-BY-NC-ND-4.0"}, {}, {}, ""),
        ({"license": "research only"}, {}, {"public": True}, "is not in the table of licences"),
        ({"license": ""}, {}, {"public": True}, "a: unknown does not allow"),
        ({"license": "", "source": "generated"}, {}, {"public": True}, ""),
    ],
)
def test_what_may_not_go_is_refused_with_the_reason(
    tmp_path: Path, origin: dict[str, str], info: dict[str, object], flags: dict[str, bool], refusal: str
) -> None:
    found = plan(make_run(tmp_path, [record(0, **origin)], **info), **flags)  # type: ignore[arg-type]
    assert [refusal in r for r in found.refusals] == ([True] if refusal else [])


def test_licences_that_exclude_each_other_are_refused_for_everybody(tmp_path: Path) -> None:
    alike = [record(0, license="CC-BY-SA-4.0", source="b"), record(1, license="CC-BY-NC-SA-4.0", source="c")]
    (refusal,) = plan(make_run(tmp_path, alike), public=True).refusals
    assert refusal.startswith("share-alike licences that exclude each other")


def test_a_damaged_file_and_a_token_in_the_data_are_refused_by_name(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "mix.json").write_text("{ }")
    (run / "report.md").unlink()
    other = make_run(run.parent / "other", [record(0)])
    (other / "data/train.jsonl").write_text(record(1).line().replace("awake", "hf_" + "x" * 34))
    (other / "manifest.json").unlink()
    (other / "run.json").unlink()
    assert plan(run).refusals == tuple(f"{n} is missing, or differs from manifest.json" for n in ("mix.json", "report.md"))
    assert plan(other, allow_unreviewed=True).refusals == (
        "data/train.jsonl holds what looks like an access token; take it out, and revoke it",
    )
    assert main(["push", str(run), REPO]) == 1
    assert "refused: mix.json is missing, or differs" in capsys.readouterr().err


@pytest.mark.parametrize("secret", ["hf_" + "a" * 34, "ghp_" + "b" * 36, " sk-" + "c" * 40, "AKIA" + "D" * 16, TOKEN])
def test_every_shape_of_secret_is_found_and_plain_words_are_not(tmp_path: Path, secret: str) -> None:
    (tmp_path / "a.txt").write_text(f"a risk-{'x' * 40} hf_ghp_ {secret}.")
    assert any("access token" in r for r in plan(tmp_path).refusals)
    (tmp_path / "a.txt").write_text(f"a risk-{'x' * 40} hf_ghp_ {secret[:12]}.")
    assert not any("access token" in r for r in plan(tmp_path).refusals)


def test_a_token_between_two_blocks_of_a_file_is_found(tmp_path: Path) -> None:
    for shift in (-20, -1, 0):
        (tmp_path / "a.txt").write_bytes(b" " * (2**20 + shift) + b"hf_" + b"k" * 34)
        assert any("access token" in r for r in plan(tmp_path).refusals)


def test_an_unfinished_run_and_a_link_that_leads_outside_are_refused(run: Path) -> None:
    (run.parent / "secret.jsonl").write_text("{}")
    (run / "mix.json").unlink()
    (run / "mix.json").symlink_to(run.parent / "secret.jsonl")
    assert any(r.startswith("mix.json") for r in plan(run).refusals)
    (run / "manifest.json").unlink()
    with pytest.raises(SourceError, match="the run has not ended"):
        plan(run)


@given(st.sampled_from(["private", "stages", "audit"]), st.lists(st.sampled_from(["a", "b.c", "data"]), max_size=3), st.booleans())
def test_nothing_below_a_private_folder_ever_goes(folder: str, others: list[str], is_run: bool) -> None:
    assert not goes("/".join(["data", *others, folder, "train.jsonl"]), is_run)


def test_parquet_files_tell_licences_where_there_is_no_jsonl(tmp_path: Path) -> None:
    from pixel_synth.publish.arrow import ParquetFile

    table = ParquetFile(tmp_path / "train.parquet", Conversation)
    for n in range(3):
        table.add(record(n, engine="composer"))
    table.close()
    assert plan(tmp_path).contents.licences == {"CC-BY-4.0": 3}
    (tmp_path / "train.parquet").rename(tmp_path / "train.bin")
    assert any("neither their licences nor who wrote them" in r for r in plan(tmp_path).refusals)
    (tmp_path / "broken.parquet").write_text("PAR1")
    with pytest.raises(SourceError, match=r"broken\.parquet is no Parquet file"):
        plan(tmp_path)


def sent(hub: Hub, tag: str = "v1.0.0") -> dict[str, bytes]:
    commit = hub.repos[REPO].at(tag)
    return commit.files if commit else {}


def test_a_push_makes_a_private_tagged_set_with_exactly_these_bytes(hub: Hub, run: Path) -> None:
    done = push(plan(run), REPO)
    assert hub.repos[REPO].private
    files = sent(hub)
    assert {n: c for n, c in files.items() if n != "manifest.json"} == {n: (run / n).read_bytes() for n in GOING}
    listed = json.loads(files["manifest.json"])["files"]
    assert listed == {n: {"sha256": hashlib.sha256(files[n]).hexdigest(), "bytes": len(files[n])} for n in GOING}
    assert (done.commit, done.files, done.new) == (hub.repos[REPO].tags["v1.0.0"], 7, True)
    hub.log.clear()
    again = push(plan(run), REPO)
    assert (again.commit, again.new) == (done.commit, False)
    assert not [r for r in hub.log if r.method == "PUT" or "/commit/" in r.path]


def test_a_large_file_goes_in_parts(hub: Hub, run: Path) -> None:
    hub.chunk = 1000
    push(plan(run), REPO)
    assert sent(hub)["data/weights.bin"] == (run / "data/weights.bin").read_bytes()
    assert len(hub.parts) == 11


def test_a_new_version_takes_away_what_the_old_one_had_and_nothing_else(hub: Hub, run: Path) -> None:
    push(plan(run), REPO)
    hub.put(REPO, {"by_hand.txt": "kept"})
    smaller = make_run(run.parent / "second", [record(9)], version="v2.0.0")
    (smaller / "report.md").unlink()
    manifest = json.loads((smaller / "manifest.json").read_text())
    del manifest["files"]["report.md"]
    (smaller / "manifest.json").write_text(json.dumps(manifest))
    push(plan(smaller), REPO)
    assert set(sent(hub, "v2.0.0")) == GOING - {"report.md"} | {"manifest.json", "by_hand.txt"}
    assert "report.md" in sent(hub, "v1.0.0")
    with pytest.raises(SourceError, match=r"has a version v1\.0\.0 with other files"):
        push(plan(smaller, tag="v1.0.0"), REPO)


def test_a_hub_that_fails_midway_is_a_retryable_error_and_the_next_push_sends_only_the_rest(
    hub: Hub, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    second = hashlib.sha256((run / "data/weights.bin").read_bytes()).hexdigest()
    hub.fail(second, 500, times=10**6, method="PUT")
    with pytest.raises(SourceError, match="out of order") as told:
        push(plan(run), REPO)
    assert told.value.retryable
    assert TOKEN not in str(told.value)
    assert sent(hub, "main") == {}  # half a version is never seen
    hub.faults.clear()
    hub.log.clear()
    push(plan(run), REPO)
    assert [r.path for r in hub.log if r.method == "PUT"] == [f"/lfs/{second}"]
    assert set(sent(hub)) == GOING | {"manifest.json"}


def test_a_commit_that_fails_is_tried_again(hub: Hub, run: Path) -> None:
    hub.fail("/commit/", 503)
    assert push(plan(run), REPO).new


def test_what_arrives_changed_is_an_error(hub: Hub, run: Path) -> None:
    found: PushPlan = plan(run)
    (run / "mix.json").write_text("[]")  # the same size, after it was looked at
    with pytest.raises(SourceError, match=r"mix\.json is not there as it was sent"):
        push(found, REPO)
    assert hub.repos[REPO].tags == {}


def test_visibility_and_rights_are_checked_before_anything_is_sent(hub: Hub, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.put(REPO, {"a": ""}, private=False)
    hub.put("other/set", {"a": ""}, private=False)
    with pytest.raises(SourceError, match="is public and the push is without --public"):
        push(plan(run), REPO)
    with pytest.raises(SourceError, match="may not write to it"):
        push(plan(run), "other/set", public=True)
    assert push(plan(run, public=True), REPO, public=True).new
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(SourceError, match="a push needs a token"):
        push(plan(run), REPO)


def test_the_command_is_a_dry_run_until_yes(hub: Hub, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", str(run), REPO]) == 0
    told = capsys.readouterr().out
    assert "dry run: nothing was sent" in told
    assert "CC-BY-4.0 5" in told
    assert "data/rejected.jsonl" in told
    assert hub.log == []
    assert main(["push", str(run), REPO, "--yes", "--tag", "v3"]) == 0
    assert f"{hub.endpoint}/datasets/{REPO}/tree/v3" in capsys.readouterr().out
    assert main(["push", str(run), "no-owner", "--yes"]) == 2
    assert main(["push", str(run), REPO, "--tag", "a/../b"]) == 2
    assert main(["push", str(run.parent / "nothing"), REPO]) == 1
    assert TOKEN not in told


def child_environment(hub: Hub, home: Path) -> dict[str, str]:
    return {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_TOKEN": TOKEN, "HF_HOME": str(home), "HF_DATASETS_OFFLINE": "0"}


@pytest.mark.heavy
def test_a_killed_push_goes_on_where_it_was(hub: Hub, run: Path, tmp_path: Path) -> None:
    second = hashlib.sha256((run / "data/weights.bin").read_bytes()).hexdigest()
    first = hashlib.sha256((run / "data/train.jsonl.gz").read_bytes()).hexdigest()
    hub.slow(second, 7, method="PUT")
    command = [sys.executable, "-m", "pixel_synth.cli", "push", str(run), REPO, "--yes"]
    child = subprocess.Popen(command, env=child_environment(hub, tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while first not in hub.blobs and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    assert first in hub.blobs
    assert second not in hub.blobs
    hub.faults.clear()
    hub.log.clear()
    done = subprocess.run(command, env=child_environment(hub, tmp_path), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert f"/lfs/{first}" not in [r.path for r in hub.log]
    assert set(sent(hub)) == GOING | {"manifest.json"}


READ_BACK = """
import json, sys, datasets
files = {"train": "data/train.jsonl"}
there = datasets.load_dataset(sys.argv[1], data_files=files, revision="v1.0.0")["train"]
streamed = [r["id"] for r in datasets.load_dataset(sys.argv[1], data_files=files, revision="v1.0.0", split="train", streaming=True)]
there.push_to_hub("org/folder", private=True, config_name="talks", commit_message="from datasets")
back = datasets.load_dataset("org/folder", "talks", split="train")
print(json.dumps({"ids": list(there["id"]), "said": [m[0]["content"] for m in there["messages"]], "streamed": streamed,
                  "same": back.to_list() == there.to_list()}))
"""


@pytest.mark.heavy
def test_datasets_loads_what_was_pushed_and_pushes_its_own(hub: Hub, run: Path, tmp_path: Path) -> None:
    push(plan(run), REPO)
    environment = child_environment(hub, tmp_path) | {"HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", READ_BACK, REPO], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    wanted = [record(n) for n in range(5)]
    assert told["ids"] == told["streamed"] == [r.id for r in wanted]
    assert told["said"] == [r.messages[0].content for r in wanted]
    assert told["same"]
    assert any(name.endswith(".parquet") for name in hub.repos["org/folder"].at("main").files)  # type: ignore[union-attr]
