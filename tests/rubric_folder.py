"""A folder of prompts with the real frames and small rubrics of the tests' own."""

from __future__ import annotations

import shutil
from pathlib import Path

from pixel_synth.prompts import prompts_dir

SMALL = """---
name: small
version: "1.0"
title: A small rubric
asks: session
speaks_to: coherence
sources: ["Nobody, N. (1999). On small rubrics. Journal of Tests, 1, 1-2."]
combine: mean
criteria:
  warm:
    ask: Is the therapist warm?
    scale: yes/no
    anchors: {yes: a kind word, no: none}
    good_from: yes
    quote: therapist
  advice:
    ask: How much advice is given?
    scale: 0-2
    anchors: {0: none, 1: a little, 2: much}
    good_from: 0
    high_is_bad: true
    quote: therapist
    weight: 2
  told:
    ask: How much does the client tell?
    scale: 1-5
    anchors: {1: nothing, 3: something, 5: all of it}
    good_from: 4
    applies: the client says nothing at all
    quote: client
---
Read it twice.
"""
FLOW = """---
name: flow
version: "2.0"
title: A flow
asks: session
sources: ["Nobody, N. (1999). On flows. Journal of Tests, 1, 3-4."]
combine: flow
criteria:
  asked: {ask: "Is risk asked about?", scale: yes/no, anchors: {yes: asked, no: not}, good_from: yes, fatal: true, applies: no risk}
  harm: {ask: "Is there harm?", scale: yes/no, anchors: {yes: harm, no: none}, good_from: no, fatal: true}
  named: {ask: "Is help named?", scale: yes/no, anchors: {yes: named, no: not}, good_from: yes}
  calm: {ask: "Is it calm?", scale: yes/no, anchors: {yes: calm, no: not}, good_from: yes, weight: 2}
---
Read it once.
"""


def folder(path: Path, **rubrics: str) -> Path:
    """Make a prompts folder with the given rubric files (`SMALL` and `FLOW` without any) and return it."""
    (path / "judges").mkdir(parents=True)
    for prompt in prompts_dir().glob("*.md"):
        shutil.copy(prompt, path)
    for name, text in (rubrics or {"small": SMALL, "flow": FLOW}).items():
        (path / "judges" / f"{name}.md").write_text(text, encoding="utf-8")
    return path
