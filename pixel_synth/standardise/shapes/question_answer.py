"""A question with one answer, and perhaps a title, as forums have them; answers to the same question share a group."""

from __future__ import annotations

from pixel_synth.standardise.draft import Draft, Row, exchange, text
from pixel_synth.standardise.text import key

RANK = 50
NEEDS = "question (questionText) and answer (answerText), perhaps questionTitle"
COLUMNS = {
    "title": ("questiontitle", "title"),
    "question": ("question", "questiontext", "questions", "body"),
    "answer": ("answer", "answertext", "answers", "reply"),
}


def read(row: Row) -> Draft:
    """Return title and question, the title only where the question does not say it already, and the answer."""
    title, question, answer = text(row, "title", ""), text(row, "question", ""), text(row, "answer")
    if not title:
        question = text(row, "question")
    asked = question if key(title) in key(question) else f"{title.strip()}\n\n{question}"
    return Draft(exchange(asked, answer), questions=(f"{title}\n{question}", question))
