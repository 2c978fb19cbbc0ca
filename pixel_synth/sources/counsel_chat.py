"""Counsel Chat: questions of the public and the answers of licensed counsellors, several for many questions."""

from __future__ import annotations

from pixel_synth.sources.source import Source

SOURCE = Source(
    id="counsel_chat",
    title="questions of the public, answers of licensed counsellors",
    group="local",
    wrote="human",
    category="mental_health",
    kind="question_answer",
    repo="nbertagnolli/counsel-chat",
    hub=False,
    seen="e202e19c",
    patterns=("*counsel_chat*.csv",),
    license="MIT",
    evidence="the LICENSE file of the git repository; "
    "the text itself was collected from counselchat.com, and the copy on the Hub names none",
    gated=False,
    limits=(
        "written in public by people in distress: redact, and do not try to find out who they are",
        "counsellors' names are in columns",
    ),
    homepage="https://github.com/nbertagnolli/counsel-chat",
    citation="Bertagnolli, N. (2020). Counsel chat: Bootstrapping high-quality therapy data. Towards Data Science.",
    strategy="title and text are the client's turn, one record an answer; answers to one question share a group and never cross a split",
    shape="question_answer",
    columns={"title": "questionTitle", "question": "questionText", "answer": "answerText"},
    groups={"question": "questionID"},
)
