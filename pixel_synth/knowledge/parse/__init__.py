"""A user's own licensed texts to typed entries: criteria sets, personality sections and inventories, with an account of every line."""

from pixel_synth.knowledge.parse.document import Document, parse_file, parse_text
from pixel_synth.knowledge.parse.packs import faults, pack_text, report, summary, write_packs
from pixel_synth.knowledge.parse.render import LAYOUTS, render
from pixel_synth.knowledge.parse.result import READABLE, Fault, Note, Parsed, Unread

__all__ = [
    "LAYOUTS",
    "READABLE",
    "Document",
    "Fault",
    "Note",
    "Parsed",
    "Unread",
    "faults",
    "pack_text",
    "parse_file",
    "parse_text",
    "render",
    "report",
    "summary",
    "write_packs",
]
