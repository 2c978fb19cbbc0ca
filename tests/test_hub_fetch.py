"""Fetching and streaming sets from the Hub: the real client against a hub on this machine."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub import Hub

from pixel_synth.errors import SourceError, UsageError
from pixel_synth.sources import hub_client
from pixel_synth.sources.hub import Fetched, Progress, fetch, stream
from pixel_synth.sources.pins import check_path, matching, read_pins

SET = "nbertagnolli/counsel-chat"
TOKEN = "hf_" + "s3cret" * 6
ROWS = "".join(json.dumps({"question": f"q{n}", "answer": "a" * 90}) + "\n" for n in range(400))


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The suite is offline; these tests talk to this machine, without the user's token and with short waits."""
    from huggingface_hub import constants

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(hub_client, "WAIT_S", 0.01)
    monkeypatch.setattr("time.sleep", lambda _: None)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub(tokens={TOKEN: "reader"}) as served:
        served.put(SET, {"data/train.jsonl": ROWS, "data/more.csv": "a,b\n1,2\n", "README.md": "# card"})
        yield served


def get(hub: Hub, cache: Path, revision: str = "", patterns: tuple[str, ...] = ("data/*",), repo: str = SET, **more: object) -> Fetched:
    return fetch(repo, revision, patterns, cache, endpoint=hub.endpoint, **more)  # type: ignore[arg-type]


def test_files_are_fetched_once_and_pinned(hub: Hub, tmp_path: Path) -> None:
    seen: list[Progress] = []
    first = get(hub, tmp_path, progress=seen.append)
    assert [p.read_text() for p in first.paths] == ["a,b\n1,2\n", ROWS]
    assert first.revision == hub.repos[SET].head
    assert (first.downloaded, first.reused) == (2, 0)
    assert [(p.done, p.files) for p in seen] == [(1, 2), (2, 2)]
    assert seen[-1].bytes_done == seen[-1].bytes == len(ROWS) + 8
    pin = read_pins(tmp_path)[SET]
    assert pin.commit == first.revision
    assert pin.files == first.files
    hub.log.clear()
    again = get(hub, tmp_path)
    assert hub.log == []  # neither a download nor a question
    assert again == first._replace(downloaded=0, reused=2)


def test_more_patterns_of_a_pinned_set_bring_only_what_is_missing(hub: Hub, tmp_path: Path) -> None:
    get(hub, tmp_path, patterns=("data/*.csv",))
    more = get(hub, tmp_path, patterns=("data/*",))
    assert (more.downloaded, more.reused) == (1, 1)
    assert set(read_pins(tmp_path)[SET].files) == {"data/more.csv", "data/train.jsonl"}
    assert read_pins(tmp_path)[SET].patterns == ("data/*", "data/*.csv")


def test_another_commit_than_the_pinned_one_is_refused_unless_asked_for(hub: Hub, tmp_path: Path) -> None:
    old = get(hub, tmp_path).revision
    new = hub.put(SET, {"data/train.jsonl": "{}\n"}, "second")
    assert get(hub, tmp_path).revision == old  # without a revision the pin counts
    with pytest.raises(SourceError, match=f"pinned to {old}, and main is {new} now"):
        get(hub, tmp_path, "main")
    updated = get(hub, tmp_path, "main", update=True)
    assert updated.revision == new
    assert (updated.folder / "data/train.jsonl").read_text() == "{}\n"
    with pytest.raises(SourceError, match="pinned to"):
        get(hub, tmp_path, old)


def test_a_revision_is_a_branch_a_tag_or_a_commit(hub: Hub, tmp_path: Path) -> None:
    old = hub.repos[SET].head
    hub.repos[SET].tags["v1"] = old
    hub.put(SET, {"data/train.jsonl": "{}\n"}, "second")
    assert get(hub, tmp_path / "a", "v1").revision == old
    assert get(hub, tmp_path / "b", old).revision == old
    assert get(hub, tmp_path / "c", "main").revision != old
    with pytest.raises(SourceError, match="has no revision v9"):
        get(hub, tmp_path / "d", "v9")


def test_a_file_changed_at_the_same_commit_is_an_error_that_names_it(hub: Hub, tmp_path: Path) -> None:
    first = get(hub, tmp_path)
    for path in first.paths:
        path.resolve().unlink()
    hub.swap(SET, "data/train.jsonl", b"something else\n")
    with pytest.raises(SourceError, match=r"data/train\.jsonl has other bytes"):
        get(hub, tmp_path)
    assert not (first.folder / "data/train.jsonl").exists()


def test_a_large_file_whose_bytes_are_not_those_the_hub_lists_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.put(SET, {"data/big.parquet": b"PAR1" * 50})
    pinned = get(hub, tmp_path, patterns=("*.parquet",))
    shutil.rmtree(pinned.folder)
    hub.swap(SET, "data/big.parquet", b"evil" * 50)
    with pytest.raises(SourceError, match=r"data/big\.parquet has other bytes"):
        get(hub, tmp_path, patterns=("*.parquet",))


def test_a_damaged_cached_file_is_fetched_anew(hub: Hub, tmp_path: Path) -> None:
    first = get(hub, tmp_path)
    (first.folder / "data/more.csv").resolve().write_text("a,b\n1,3\n")
    again = get(hub, tmp_path)
    assert (again.downloaded, again.reused) == (1, 1)
    assert again.files == first.files


def test_a_broken_download_goes_on_where_it_broke(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 4096)  # the client keeps whole chunks, of 10 MiB by default
    hub.cut("train.jsonl", after=10_000)
    found = get(hub, tmp_path, patterns=("data/train.jsonl",))
    assert found.paths[0].read_text() == ROWS
    ranges = [r.range for r in hub.asked("train.jsonl")]
    assert ranges[0] == ""
    assert 0 < int(ranges[1].removeprefix("bytes=").rstrip("-")) <= 10_000


@pytest.mark.parametrize("part", ["/api/datasets/", "/tree/", "/resolve/"])
@pytest.mark.parametrize("status", [503, 429])
def test_a_busy_hub_is_asked_again(hub: Hub, tmp_path: Path, part: str, status: int) -> None:
    hub.fail(part, status, times=2, retry_after=0)
    assert get(hub, tmp_path).downloaded == 2


def test_a_hub_that_stays_away_is_a_retryable_error_in_one_line(tmp_path: Path, hub: Hub) -> None:
    hub.fail("/", 503, times=10**6)
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:\d+ is out of order \(status 503\)") as told:
        get(hub, tmp_path)
    assert told.value.retryable
    with pytest.raises(SourceError, match="cannot be reached") as gone:
        fetch(SET, "", ("*",), tmp_path, endpoint="http://user:pass@127.0.0.1:9")
    assert gone.value.retryable
    assert "pass" not in str(gone.value)


def test_a_set_that_is_not_there_is_told_with_its_nearest_name(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no set nbertagnoli/counsel-chat on") as told:
        get(hub, tmp_path, repo="nbertagnoli/counsel-chat")
    assert f"did you mean {SET}?" in told.value.hint
    with pytest.raises(UsageError, match="OWNER/NAME"):
        get(hub, tmp_path, repo="../etc")


def test_a_listing_that_comes_in_pages_is_read_to_its_end(hub: Hub, tmp_path: Path) -> None:
    hub.put(SET, {f"parts/{n}.json": "{}" for n in range(7)})
    hub.page = 2
    assert len(get(hub, tmp_path, patterns=("parts/",)).files) == 7


def test_a_pattern_without_files_says_what_there_is(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no file like \*\.arrow .*\n.*README.md, data/more.csv"):
        get(hub, tmp_path, patterns=("*.arrow",))


def test_gated_sets_ask_for_the_terms_and_private_ones_for_a_token(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hub.put("owner/gated", {"a.jsonl": "{}\n"}, gated=True)
    hub.put("owner/private", {"a.jsonl": "{}\n"}, private=True)
    caplog.set_level(logging.DEBUG)
    told = []
    for repo, token, match in (
        ("owner/gated", "", "owner/gated is gated\n.*accept the terms at .*/datasets/owner/gated, then set HF_TOKEN"),
        ("owner/gated", TOKEN, "account of HF_TOKEN has no access"),
        ("owner/private", "", "no set owner/private.*\n.*private set needs HF_TOKEN"),
        ("owner/private", TOKEN, "no set owner/private"),
        ("owner/private", "hf_" + "wrong1" * 6, "does not know the token in HF_TOKEN"),
    ):
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(SourceError, match=match) as error:
            get(hub, tmp_path, repo=repo, patterns=("*",))
        assert not error.value.retryable
        told.append(f"{error.value}{error.value.__cause__}")
    hub.repos["owner/gated"].readers.add("reader")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert get(hub, tmp_path, repo="owner/gated", patterns=("*",)).downloaded == 1
    assert hub.log[-1].token
    for text in (*told, caplog.text, *(p.read_text() for p in tmp_path.rglob("*.json"))):
        assert TOKEN not in text
        assert "wrong1" not in text


def test_a_renamed_set_works_with_a_warning(hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hub.renamed["old/counsel-chat"] = SET
    found = get(hub, tmp_path, repo="old/counsel-chat")
    assert found.renamed == SET
    assert found.downloaded == 2
    assert f"old/counsel-chat is called {SET} on the Hub now" in caplog.text
    assert get(hub, tmp_path, repo="old/counsel-chat").reused == 2


def test_the_cache_works_offline_and_says_when_it_cannot(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = get(hub, tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub.log.clear()
    assert get(hub, tmp_path).paths == get(hub, tmp_path, "main").paths == first.paths
    with pytest.raises(SourceError, match="HF_HUB_OFFLINE is set"):
        get(hub, tmp_path, "0" * 40)
    with pytest.raises(SourceError, match="HF_HUB_OFFLINE is set"):
        get(hub, tmp_path, patterns=("*",))
    with pytest.raises(SourceError, match="cannot be streamed while HF_HUB_OFFLINE"):
        next(stream(SET, "", "data/*.jsonl", endpoint=hub.endpoint))
    assert hub.log == []


def test_a_disk_without_room_is_told_before_anything_is_fetched(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(10, 0, 10))
    with pytest.raises(SourceError, match=rf"needs {len(ROWS) + 8:,} bytes more"):
        get(hub, tmp_path)
    assert hub.asked("/resolve/") == []


def test_a_cache_that_cannot_be_written_is_named(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match=r"file.*: Not a directory"):
        get(hub, tmp_path / "file" / "cache")


KILLED = """
import sys
from pathlib import Path
from pixel_synth.sources.hub import fetch
fetch(sys.argv[1], "", ("data/*",), Path(sys.argv[2]), endpoint=sys.argv[3], workers=1)
"""


@pytest.mark.heavy
def test_a_killed_fetch_keeps_the_files_that_were_whole(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    hub.slow("train.jsonl", 4)
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path)}
    child = subprocess.Popen([sys.executable, "-c", KILLED, SET, str(tmp_path), hub.endpoint], env=environment)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/snapshots/*/data/more.csv")) and time.monotonic() < deadline:
        time.sleep(0.02)
    child.kill()
    child.wait(10)
    assert read_pins(tmp_path) == {}
    hub.faults.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    again = get(hub, tmp_path)
    assert (again.downloaded, again.reused) == (1, 1)
    assert again.paths[1].read_text() == ROWS


def test_a_mirror_is_read_in_place_of_the_hub_hashed_and_pinned(tmp_path: Path) -> None:
    mirror, cache = tmp_path / "mirror", tmp_path / "cache"
    (mirror / SET / "data").mkdir(parents=True)
    (mirror / SET / "data/train.jsonl").write_text(ROWS)
    (tmp_path / "secret.jsonl").write_text("{}")
    (mirror / SET / "data/out.jsonl").symlink_to(tmp_path / "secret.jsonl")
    found = fetch(SET, "", ("data/*",), cache, mirror=mirror)
    assert list(found.files) == ["data/train.jsonl"]  # not what lies outside
    assert len(found.revision) == 64
    assert fetch(SET, "", ("data/*",), cache, mirror=mirror) == found
    assert next(stream(SET, "", "data/*.jsonl", mirror=mirror))["question"] == "q0"
    (mirror / SET / "data/train.jsonl").write_text(ROWS[:-9])
    with pytest.raises(SourceError, match=r"train\.jsonl has other bytes"):
        fetch(SET, "", ("data/*",), cache, mirror=mirror)
    assert fetch(SET, "", ("data/*",), cache, mirror=mirror, update=True).revision != found.revision
    with pytest.raises(SourceError, match="no folder"):
        fetch("no/set", "", ("*",), cache, mirror=mirror)


def test_a_mirror_with_the_hubs_bytes_has_the_hubs_commit(hub: Hub, tmp_path: Path) -> None:
    pinned = get(hub, tmp_path)
    shutil.copytree(pinned.folder, tmp_path / "mirror" / SET)
    assert fetch(SET, "", ("data/*",), tmp_path, mirror=tmp_path / "mirror").revision == pinned.revision


def test_streaming_reads_only_as_far_as_it_is_consumed(hub: Hub, tmp_path: Path) -> None:
    hub.put(SET, {"data/big.jsonl": ROWS * 100})
    rows = stream(SET, "", "data/big.jsonl", endpoint=hub.endpoint, block=20_000)
    assert [next(rows)["question"] for _ in range(300)] == [f"q{n}" for n in range(300)]
    asked = [tuple(map(int, r.range.removeprefix("bytes=").split("-"))) for r in hub.asked("big.jsonl") if r.range]
    assert 0 < max(end for _, end in asked) < 250_000 < len(ROWS * 100) // 10


def test_streaming_knows_csv_gz_zst_and_parquet(hub: Hub) -> None:
    import gzip
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq
    import zstandard

    wanted = [json.loads(line) for line in ROWS.splitlines()[:50]]
    told = "\n".join(map(json.dumps, wanted)).encode()
    table = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(wanted), table)
    files = {"a.jsonl.gz": gzip.compress(told), "b.jsonl.zst": zstandard.compress(told), "c.parquet": table.getvalue()}
    hub.put("o/n", files)
    for name in files:
        assert list(stream("o/n", "", name, endpoint=hub.endpoint)) == wanted
    assert list(stream(SET, "", "*.csv", endpoint=hub.endpoint)) == [{"a": "1", "b": "2"}]


def test_a_stream_that_breaks_goes_on_or_says_that_it_may_be_tried_again(hub: Hub) -> None:
    hub.cut("train.jsonl", after=100)
    hub.fail("train.jsonl", 503, times=1)
    assert len(list(stream(SET, "", "data/*.jsonl", endpoint=hub.endpoint, block=20_000))) == 400
    assert [fault.times for fault in hub.faults] == [0, 0]
    hub.fail("train.jsonl", 503, times=10**6)
    with pytest.raises(SourceError, match="out of order") as told:
        next(stream(SET, "", "data/*.jsonl", endpoint=hub.endpoint))
    assert told.value.retryable


def test_a_gated_set_is_not_streamed_without_access(hub: Hub) -> None:
    hub.put("owner/gated", {"a.jsonl": "{}\n"}, gated=True)
    with pytest.raises(SourceError, match="owner/gated is gated"):
        next(stream("owner/gated", "", "*", endpoint=hub.endpoint))


def test_streaming_names_the_line_that_is_no_object(hub: Hub) -> None:
    hub.put("o/n", {"a.jsonl": '{"a": 1}\n[2]\n'})
    rows = stream("o/n", "", "*.jsonl", endpoint=hub.endpoint)
    assert next(rows) == {"a": 1}
    with pytest.raises(SourceError, match=r"o/n/a\.jsonl:2: no JSON object"):
        next(rows)


def test_a_streamed_file_that_is_damaged_is_named(hub: Hub) -> None:
    hub.put("o/n", {"a.jsonl.gz": b"no gzip", "b.parquet": b"no parquet", "c.csv": b"a,b\n\xff\xfe,1\n", "d.jsonl.zst": b"no zstd"})
    for name in ("a.jsonl.gz", "b.parquet", "c.csv", "d.jsonl.zst"):
        with pytest.raises(SourceError, match=f"o/n/{name} is damaged"):
            list(stream("o/n", "", name, endpoint=hub.endpoint))


@pytest.mark.parametrize("path", ["../a", "/a", "a/../../b", "a\\b", "a\0", ""])
def test_a_path_that_leaves_its_folder_is_refused(path: str) -> None:
    with pytest.raises(SourceError, match="outside its folder"):
        check_path("o/n", path)


def test_patterns_cross_slashes_as_in_the_client() -> None:
    paths = ["README.md", "data/a/b.csv", "data/c.csv"]
    assert matching(paths, ("*.csv",)) == ["data/a/b.csv", "data/c.csv"]
    assert matching(paths, ("data/a/",)) == ["data/a/b.csv"]
