"""Bytes of a user's file to numbered lines: plain text, Markdown, or PDF with the extra ``pdf``."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pixel_synth.errors import KnowledgeError

MAX_BYTES = 32 * 1024 * 1024
MAX_LINE = 10_000
TEXT = (".txt", ".text", ".md", ".markdown", "")


class Line(NamedTuple):
    """A line of the text: 1-based number, text without the line break, 1-based page (pages end at a form feed)."""

    number: int
    text: str
    page: int


def read_lines(path: Path) -> list[Line]:
    """Return the lines of a file; a PDF's are numbered through all pages.

    Raises:
        KnowledgeError: For a file that is missing, too large, of another type, not UTF-8, or a PDF without text.
    """
    if not path.is_file():
        raise KnowledgeError(f"{path}: no such file", hint="give a .txt, .md or .pdf file")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise KnowledgeError(f"{path}: {size} bytes; at most {MAX_BYTES} are read", hint="split the text, one chapter per file")
    suffix = path.suffix.lower()
    if suffix == ".pdf":
        return split("\f".join(_pdf_pages(path)), str(path))
    if suffix not in TEXT:
        raise KnowledgeError(f"{path}: cannot read {suffix} files", hint="save it as .txt, .md or .pdf")
    return split(_decoded(path), str(path))


def split(text: str, name: str = "text") -> list[Line]:
    """Number the lines of a text.

    Raises:
        KnowledgeError: For a line of more than ``MAX_LINE`` characters, which is no running text.
    """
    lines: list[Line] = []
    for page, part in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\f"), 1):
        for line in part.removesuffix("\n").split("\n"):
            if len(line) > MAX_LINE:
                raise KnowledgeError(f"{name}:{len(lines) + 1}: a line of {len(line)} characters", hint=f"break lines before {MAX_LINE}")
            lines.append(Line(len(lines) + 1, line, page))
    return lines


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in data:
        raise KnowledgeError(f"{path}: UTF-16 or no text at all", hint="save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise KnowledgeError(
            f"{path}:{line}: byte 0x{data[error.start]:02x} is not UTF-8", hint="save it as UTF-8: iconv -f cp1252 -t utf-8 FILE"
        ) from error


def _pdf_pages(path: Path) -> list[str]:
    try:
        from pypdf import PdfReader
        from pypdf.errors import PyPdfError
    except ImportError as error:
        raise KnowledgeError(f"{path}: reading PDF needs pypdf", hint="pip install 'pixel-synth[pdf]'") from error
    try:
        reader = PdfReader(path)
        if reader.is_encrypted:
            raise KnowledgeError(f"{path}: the PDF is encrypted", hint="save a copy without a password, as your licence allows")
        pages = [page.extract_text() for page in reader.pages]
    except (PyPdfError, OSError, ValueError, KeyError, RecursionError) as error:
        raise KnowledgeError(f"{path}: not a readable PDF: {error}", hint="print it to a new PDF, or save it as text") from error
    if not any(page.strip() for page in pages):
        raise KnowledgeError(f"{path}: {len(pages)} pages without text", hint="a scan: put it through text recognition (OCR) first")
    return pages
