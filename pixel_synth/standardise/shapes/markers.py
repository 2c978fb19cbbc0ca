"""One column of text in which marks say who speaks: ``Seeker: …``, ``### Human: …``, ``<|user|>``, ``[INST] … [/INST]``, ChatML."""

from __future__ import annotations

import re

from pixel_synth.standardise.draft import Draft, Row, Turn, Unfit, text
from pixel_synth.standardise.roles import NAMES, role_of

RANK = 60
NEEDS = "a column of text with marks of speakers at line starts (Human:, ### Response:, Patient:), or chat-template marks"
COLUMNS = {
    "text": (
        "text", "conversation", "fullconversation", "dialogue", "dialog", "transcript", "chat", "content", "messages", "formatted",
        "prompt", "input", "sample", "data",
    )
}  # fmt: skip
_WHO = "|".join(sorted((n.replace(" ", "[ _]") for n in NAMES), key=len, reverse=True))
# Each family: what opens a turn, with the speaker in group 1, and what closes one and is no words.
# Sources of the template marks: https://huggingface.co/docs/transformers/chat_templating and the model cards of the families.
FAMILIES: dict[str, tuple[re.Pattern[str], re.Pattern[str]]] = {
    "chatml": (re.compile(r"<\|im_start\|>\s*(\w+)\s*\n?"), re.compile(r"<\|im_end\|>|<\|endoftext\|>")),
    "llama3": (
        re.compile(r"<\|start_header_id\|>\s*(\w+)\s*<\|end_header_id\|>\s*"),
        re.compile(r"<\|eot_id\|>|<\|begin_of_text\|>|<\|end_of_text\|>"),
    ),
    "gemma": (re.compile(r"<start_of_turn>\s*(\w+)\s*\n?"), re.compile(r"<end_of_turn>|<bos>|<eos>")),
    "bars": (re.compile(rf"<\|({_WHO})\|>:?\s*", re.I), re.compile(r"<\|(?:end|endoftext|eos|end_of_turn)\|>|</?s>")),
    "angle": (re.compile(rf"^[ \t]*<({_WHO})>:?[ \t]*", re.I | re.M), re.compile(rf"</(?:{_WHO})>|</?s>|<\|endoftext\|>", re.I)),
    "hashes": (
        re.compile(rf"^[ \t]*#{{2,4}}[ \t]*({_WHO}|instruction|input|response)[ \t]*:?[ \t]*", re.I | re.M),
        re.compile(r"</?s>|###[ \t]*End\s*$"),
    ),
    "names": (re.compile(rf"^[ \t]*\**({_WHO})\**[ \t]*:\**[ \t]*", re.I | re.M), re.compile(r"</?s>|<\|endoftext\|>")),
}  # fmt: skip
_INST = re.compile(r"\[INST\]\s*(.*?)\s*\[/INST\]\s*(.*?)\s*(?=\[INST\]|\Z)", re.S)
_SYS = re.compile(r"<<SYS>>\s*(.*?)\s*<</SYS>>\s*", re.S)
_ENDS = re.compile(r"</?s>")


def read(row: Row) -> Draft:
    """Return the turns that the marks tell apart."""
    found = split(text(row, "text"))
    if not found:
        raise Unfit("no speakers: no marks of two known speakers in the text")
    return Draft(found)


def split(words: str) -> list[Turn]:
    """Return the turns of a text by its marks; empty when it has no marks of two speakers.

    Words before the first mark become a system turn where the marks are those of a prompt template (an Alpaca preamble); before
    speakers' names nobody can say whose they are.

    Raises:
        Unfit: When words stand before the first speaker's name.
    """
    if "[INST]" in words:
        return _inst(words)
    for name, (opens, closes) in FAMILIES.items():
        if name != "names" and "#" not in words and "<" not in words:
            continue
        marks = list(opens.finditer(words))
        if not {role_of(_plain(mark[1])) for mark in marks} >= {"user", "assistant"}:
            continue
        before = closes.sub("", words[: marks[0].start()]).strip()
        if before and name == "names":
            raise Unfit(f"words before the first speaker: {before[:60]!r}")
        ends = [mark.start() for mark in marks[1:]] + [len(words)]
        turns = [Turn(_plain(m[1]), closes.sub("", words[m.end() : end]).strip()) for m, end in zip(marks, ends, strict=True)]
        return [Turn("system", before), *turns] if before else turns
    return []


def _plain(name: str) -> str:
    return {"response": "assistant", "instruction": "user", "input": "user"}.get(name.lower(), name.lower().replace("_", " "))


def _inst(words: str) -> list[Turn]:
    found: list[Turn] = []
    for asked, answer in _INST.findall(_ENDS.sub("", words)):
        if system := _SYS.search(asked):
            found.append(Turn("system", system[1]))
            asked = _SYS.sub("", asked)
        found += [Turn("user", asked), Turn("assistant", answer)]
    return found
