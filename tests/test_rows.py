"""Readers: every kind of file gives its rows, and everything that is broken gives one reject with its place, and the rest goes on."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pixel_synth.errors import SourceError
from pixel_synth.standardise.rows import Raw, files, parse, rows

ROW = b'{"prompt": "I cannot sleep.", "response": "Since when?"}'
TWO = [{"prompt": "I cannot sleep.", "response": "Since when?"}, {"prompt": "Nobody calls.", "response": "Nobody at all?"}]


def read(path: Path, data: bytes) -> list[Raw]:
    path.write_bytes(data)
    return list(rows(path))


def good(found: list[Raw]) -> list[dict[str, object] | None]:
    return [r.value for r in found if not r.error]


def bad(found: list[Raw]) -> list[tuple[int, str]]:
    return [(r.row, r.error) for r in found if r.error]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"prompt": "a", ', "malformed JSON"),
        (b'{"prompt": "caf\xe9"}', "encoding: byte 0xe9 at column 16 is no UTF-8"),
        (b'{"prompt": "a\x00b"}', "NUL byte"),
        (b'{"a": ' * 100_000, "nested too deep"),
        (b'{"prompt": "a", "x": {"k": 1, "k" : 2}}', "repeated key: 'k'"),
        (b'{"prompt": "\\ud800"}', "lone surrogate"),
        (b'{"score": NaN}', "malformed JSON"),
        (b'{"score": -Infinity}', "malformed JSON"),
        (b'["a", "b"]', "not an object: list"),
        (b'"a"', "not an object: str"),
        (ROW + ROW, "malformed JSON: trailing characters"),
    ],
    ids=["cut", "latin1", "nul", "deep", "repeated", "surrogate", "nan", "infinity", "list", "string", "two on a line"],
)
def test_a_broken_line_is_one_reject_and_the_rest_goes_on(tmp_path: Path, line: bytes, reason: str) -> None:
    found = read(tmp_path / "a.jsonl", ROW + b"\n\n" + line + b"\n" + ROW)
    assert [r.row for r in found] == [1, 3, 4]
    assert len(good(found)) == 2
    assert found[1].error.startswith(reason)
    assert found[1].text
    assert found[1].file == "a.jsonl"


def test_an_overlong_line_is_rejected_without_being_kept(tmp_path: Path) -> None:
    found = read(tmp_path / "a.jsonl", ROW + b'\n{"prompt": "' + b"a" * (9 << 20) + b'"}\n' + ROW + b"\n")
    assert bad(found) == [(2, "over-long line: more than 8 MiB")]
    assert len(found[1].text) <= 2000
    assert len(good(found)) == 2


@given(
    st.dictionaries(st.text(), st.text() | st.none() | st.lists(st.dictionaries(st.text(), st.text(), max_size=3), max_size=3), max_size=5)
)
def test_what_json_writes_is_read_back(value: dict[str, object]) -> None:
    assert parse(json.dumps(value).encode()) == (value, "")


@given(st.text(alphabet='a":{},\\ ', max_size=30), st.text(alphabet='a" :', max_size=6))
def test_a_repeated_key_is_never_missed(words: str, other: str) -> None:
    value, error = parse(f'{{"k" : {json.dumps(words)}, {json.dumps("x" + other)}: 1, "k":2}}'.encode())
    assert value is None
    assert error == "repeated key: 'k'"


@pytest.mark.parametrize("pack", [lambda b: b, gzip.compress, zstandard.ZstdCompressor().compress], ids=["plain", "gz", "zst"])
@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + "\n".join(map(json.dumps, TWO)).encode(),
        json.dumps(TWO).encode(),
        json.dumps(TWO, indent=2).encode(),
        json.dumps({"version": 1, "train": TWO[:1], "test": TWO[1:]}).encode(),
        json.dumps({"prompt": [t["prompt"] for t in TWO], "response": [t["response"] for t in TWO]}).encode(),
        json.dumps({"a": TWO[0], "b": TWO[1]}).encode(),
        b"prompt,response\r\nI cannot sleep.,Since when?\r\nNobody calls.,Nobody at all?\r\n",
        b"prompt\tresponse\nI cannot sleep.\tSince when?\n\nNobody calls.\tNobody at all?\n",
    ],
    ids=["lines with BOM", "array", "pretty array", "splits", "columns", "by key", "csv", "tsv"],
)
@pytest.mark.parametrize("name", ["a.data", "a.json", "a.csv"])
def test_bytes_decide_what_a_file_is_whatever_its_name(tmp_path: Path, data: bytes, pack, name: str) -> None:
    assert good(read(tmp_path / name, pack(data))) == TWO


def test_columnar_files_are_read(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(TWO)
    pq.write_table(table, tmp_path / "a.parquet")
    for name, make in {"file.arrow": pa.ipc.new_file, "stream.arrow": pa.ipc.new_stream}.items():
        with make(tmp_path / name, table.schema) as writer:
            writer.write_table(table)
    for path in sorted(tmp_path.iterdir()):
        assert good(list(rows(path))) == TWO, path.name
    whole = (tmp_path / "a.parquet").read_bytes()
    assert bad(read(tmp_path / "cut.parquet", whole[:-20]))[0][1].startswith("damaged parquet after row 0")


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_what_was_read_of_a_truncated_archive_stays(tmp_path: Path, ending: str) -> None:
    lines = b"".join(json.dumps({"prompt": os.urandom(40).hex(), "n": n}).encode() + b"\n" for n in range(3000))
    packed = gzip.compress(lines) if ending == ".gz" else zstandard.ZstdCompressor().compress(lines)
    found = read(tmp_path / f"a.jsonl{ending}", packed[: len(packed) * 2 // 3])
    assert len(good(found)) > 500
    assert [r.value["n"] for r in found if r.value] == list(range(len(good(found))))
    place, reason = bad(found)[-1]
    assert place >= len(good(found))
    assert reason.startswith(("damaged", "malformed"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b" \n\n", "empty file"),
        ("\ufeffprompt,response\n".encode("utf-16-le"), "encoding: UTF-16"),
        (b"PK\x03\x04 and so on", "no known format: this is a ZIP archive"),
        (b"Dear diary\nnothing today\n", "no known format"),
        (b"a,b,a\n1,2,3\n", "unusable header: the column 'a' is there twice"),
        (b"a,b\n", "empty table"),
        (b'[{"a": 1}, {"a": ', "malformed JSON"),
        (b'[{"a": NaN}]', "malformed JSON"),
    ],
)
def test_a_file_that_cannot_be_read_on_says_why(tmp_path: Path, data: bytes, reason: str) -> None:
    assert bad(read(tmp_path / "a.dat", data))[-1][1].startswith(reason)


def test_an_unclosed_quote_costs_its_row_only(tmp_path: Path) -> None:
    table = b'prompt,response\n"one\nmore",1\n"never closed,2\nthree,3\n"four, or so",4\nfive,5,6\nsix,"6"x\nseven,7\n'
    found = read(tmp_path / "a.csv", table)
    assert [(r.row, r.value["prompt"]) for r in found if r.value] == [(2, "one\nmore"), (5, "three"), (6, "four, or so"), (9, "seven")]
    assert [(row, reason.partition(":")[0]) for row, reason in bad(found)] == [
        (4, "unclosed quote"),
        (7, "other columns"),
        (8, "stray quote"),
    ]


@given(st.lists(st.tuples(st.text(), st.text(min_size=1)), min_size=1, max_size=6))
def test_tables_come_back_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str]]) -> None:
    cells = [(a.replace("\0", "").replace("\r", ""), b.replace("\0", "").replace("\r", "")) for a, b in cells]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([("prompt", "response"), *cells])
    found = read(tmp_path_factory.mktemp("t") / "a.csv", text.getvalue().encode(errors="ignore"))
    kept = [tuple(x.encode(errors="ignore").decode() for x in pair) for pair in cells]
    assert [(r.value["prompt"], r.value["response"]) for r in found if r.value] == kept


def test_documents_reject_single_rows(tmp_path: Path) -> None:
    deep: object = "x"
    for _ in range(300):
        deep = [deep]
    text = f'[{json.dumps(TWO[0])}, {{"a": 1, "a": 2}}, {json.dumps({"a": deep})}, 3, {json.dumps(TWO[1])}]'
    found = read(tmp_path / "a.json", text.encode())
    assert good(found) == TWO
    assert bad(found) == [(2, "repeated key: 'a'"), (3, "nested too deep"), (4, "not an object: int")]


def test_a_string_without_end_in_a_document_is_not_held(tmp_path: Path) -> None:
    found = read(tmp_path / "a.json", b'[{"a": "b"}, {"a": "' + b"x" * (10 << 20) + b'"}]')
    assert good(found) == [{"a": "b"}]
    assert bad(found)[0][1].startswith("over-long value")


def test_a_folder_gives_its_data_files_and_nothing_from_outside(tmp_path: Path) -> None:
    outside = tmp_path / "secret.jsonl"
    outside.write_bytes(ROW)
    folder = tmp_path / "set"
    (folder / "deep").mkdir(parents=True)
    for name in ("b.jsonl", "deep/a.csv.gz", ".hidden.jsonl", "LICENSE", "notes.md"):
        (folder / name).write_bytes(ROW)
    (folder / "link.jsonl").symlink_to(outside)
    assert [p.relative_to(folder).as_posix() for p in files(folder)] == ["b.jsonl", "deep/a.csv.gz"]
    assert {r.file for r in rows(folder)} == {"b.jsonl", "deep/a.csv.gz"}


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone.jsonl"):
        with pytest.raises(SourceError, match=r"no data file|is not there"):
            files(path)
