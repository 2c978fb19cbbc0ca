"""Cleaning of words where it is certain: markup, entities, wrongly decoded text, blanks.  Everything else stays as it was said."""

from __future__ import annotations

import html
import re
import unicodedata

COMMA = "_comma_"  # how EmpatheticDialogues (Rashkin et al., 2019, arXiv:1811.00207) writes a comma in its CSV
# UTF-8 that was read as Windows-1252 or Latin-1: a lead byte's character before a continuation byte's.  ftfy then judges the whole text.
_MOJIBAKE = re.compile("[\u00c2-\u00f4][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]")
_ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{1,6}|#[xX][0-9a-fA-F]{1,5});")
_TAGS = "p|br|div|span|strong|em|b|i|u|ul|ol|li|h[1-6]|a|blockquote|font"
_TAG = re.compile(rf"<(/?)({_TAGS})(?:\s[^<>]*)?/?>", re.I)
_SURELY_MARKUP = re.compile(rf"</(?:{_TAGS})>|<(?:br|p)\s*/?>", re.I)
_BREAKS = re.compile(r"p|br|div|li|ul|ol|h[1-6]|blockquote", re.I)
_CONTROL = re.compile("[\x01-\x08\x0b-\x1f\x7f-\x9f\ufeff\u200b\u202a-\u202e\u2066-\u2069]")
_PLAIN = str.maketrans({"\r": "\n", "\t": " ", "\u00a0": " ", "\u202f": " ", "\u2028": "\n", "\u2029": "\n"})
# A sentence's end that lost the blank behind it, as where line breaks were stripped; not inside addresses or abbreviations.
_GLUED = re.compile(r"[.!?](?=¿?[A-Z][a-z'’]*[ ,])(?<=[^\W\d_A-Z]{2}.)")  # what stands behind is asked first: it is seldom so
_BLANKS = re.compile("(?<=\\S) {2,}(?=\\S)")
_LINE_START = re.compile("^ {1,3}(?=\\S)", re.M)  # up to three blanks mean nothing (CommonMark 0.31, sections 2.2 and 4.8)
_LINE_END = re.compile(" +$", re.M)
_GAPS = re.compile(r"\n{3,}")


class Unclean(ValueError):
    """The words hold what no cleaning can make good."""


def clean(words: str) -> tuple[str, tuple[str, ...]]:
    """Return the words without what is certainly rubble, and what was repaired.

    Repairs are "encoding", "markup", "entities", "commas", "control" and "glued sentences".

    Blanks are tidied without being told: ends of lines, runs inside a line, more than one empty line.

    Raises:
        Unclean: When there is a NUL or half of a surrogate pair among them.
    """
    if "\0" in words:
        raise Unclean("NUL character")
    repairs: list[str] = []
    if not words.isascii():
        words = _plain(words, repairs)
    if "<" in words and _SURELY_MARKUP.search(words):
        words = _TAG.sub(_untag, words)
        repairs.append("markup")
    if "&" in words and _ENTITY.search(words):
        words = html.unescape(words)
        repairs.append("entities")
    if COMMA in words:
        words = words.replace(COMMA, ",")
        repairs.append("commas")
    if not words.replace("\n", "").isprintable():
        words = _printable(words, repairs)
    if _GLUED.search(words):
        loose = _GLUED.sub(_apart, words)
        repairs += ["glued sentences"] * (loose != words)
        words = loose
    return _tidy(words), tuple(repairs)


def _apart(end: re.Match[str]) -> str:
    before = end.string[max(0, end.start() - 60) : end.start()].split()
    return end[0] if before and any(mark in before[-1] for mark in "./@:") else end[0] + " "


def _plain(words: str, repairs: list[str]) -> str:
    if _MOJIBAKE.search(words):
        import ftfy

        fixed = ftfy.fix_encoding(words)
        if fixed != words:
            repairs.append("encoding")
            words = fixed
    try:
        words.encode()
    except UnicodeEncodeError as error:
        raise Unclean("lone surrogate") from error
    return unicodedata.normalize("NFC", words)


def _untag(tag: re.Match[str]) -> str:
    if tag[2].lower() == "li":
        return "" if tag[1] else "\n- "
    return "\n" if _BREAKS.fullmatch(tag[2]) else ""


def _printable(words: str, repairs: list[str]) -> str:
    """Return the words with plain blanks and ends of lines, and without control characters."""
    words = words.replace("\r\n", "\n").translate(_PLAIN)
    if not _CONTROL.search(words):
        return words
    repairs.append("control")
    return _CONTROL.sub("", words)


def _tidy(words: str) -> str:
    words = words.strip()
    if "  " in words or " \n" in words or "\n " in words or "\n\n\n" in words:
        words = _LINE_START.sub("", _LINE_END.sub("", words))
        words = _GAPS.sub("\n\n", _BLANKS.sub(" ", words))
    return words


def key(words: str) -> str:
    """Return letters and digits only, case folded: what two spellings of the same words share."""
    return "".join(filter(str.isalnum, words.casefold()))
