"""Reading records: every line is told, good or bad, plain or gzip, in bounded memory."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from pixel_synth import jsonl
from pixel_synth.errors import RecordError
from pixel_synth.jsonl import conversations, read
from pixel_synth.records import Conversation


def test_good_and_bad_lines_are_told_with_their_numbers(tmp_path: Path, conversation: Conversation) -> None:
    path = tmp_path / "mixed.jsonl"
    path.write_text(f'{conversation.line()}\n\n{{"id": "x"}}\nnot json\n{conversation.line()}', encoding="utf-8")
    rows = list(read(path))
    assert [(r.line, r.record is not None) for r in rows] == [(1, True), (3, False), (4, False), (5, True)]
    assert rows[0].record == conversation
    assert rows[1].text == '{"id": "x"}'
    assert rows[1].error.split(":")[0] in {"category", "messages", "provenance"}
    assert "JSON" in rows[2].error


def test_gzip_reads_like_plain(tmp_path: Path, conversation: Conversation) -> None:
    path = tmp_path / "c.jsonl.gz"
    path.write_bytes(gzip.compress((conversation.line() + "\n").encode() * 3))
    assert list(conversations(path)) == [conversation] * 3


def test_a_truncated_gzip_is_a_record_error_that_names_the_file(tmp_path: Path, conversation: Conversation) -> None:
    path = tmp_path / "c.jsonl.gz"
    path.write_bytes(gzip.compress((conversation.line() + "\n").encode() * 3)[:-40])
    with pytest.raises(RecordError, match=r"c\.jsonl\.gz: damaged gzip"):
        list(read(path))


def test_a_gzip_damaged_in_the_middle_is_a_record_error(tmp_path: Path, conversation: Conversation) -> None:
    data = bytearray(gzip.compress((conversation.line() + "\n").encode()))
    data[30:60] = b"\xff" * 30
    path = tmp_path / "c.jsonl.gz"
    path.write_bytes(bytes(data))
    with pytest.raises(RecordError, match=r"c\.jsonl\.gz"):
        list(read(path))


def test_a_file_that_is_no_gzip_is_a_record_error(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl.gz"
    path.write_text("plain text\n")
    with pytest.raises(RecordError):
        list(read(path))


def test_an_overlong_line_is_told_and_the_next_one_is_read(
    tmp_path: Path, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(conversation.line().encode()) + 1
    monkeypatch.setattr(jsonl, "MAX_LINE_BYTES", size)
    path = tmp_path / "long.jsonl"
    path.write_text("x" * (3 * size + 5) + "\n" + conversation.line() + "\n" + "y" * (2 * size), encoding="utf-8")
    rows = list(read(path))
    assert [(r.line, r.record is not None) for r in rows] == [(1, False), (2, True), (3, False)]
    assert "longer" in rows[0].error


def test_bytes_that_are_not_utf8_are_a_bad_line_and_not_an_end(tmp_path: Path, conversation: Conversation) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b'{"id": "\xff\xfe"}\n' + conversation.line().encode() + b"\n")
    assert [r.record is not None for r in read(path)] == [False, True]


def test_a_file_that_must_be_whole_stops_at_its_first_bad_line(tmp_path: Path, conversation: Conversation) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(conversation.line() + "\n{}\n", encoding="utf-8")
    found = conversations(path)
    assert next(found) == conversation
    with pytest.raises(RecordError, match=r"c\.jsonl:2: "):
        next(found)


def test_a_missing_file_is_a_record_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no file"):
        list(read(tmp_path / "nothing.jsonl"))
