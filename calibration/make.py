"""Make the shipped calibration cards anew, after any change of a scorer.

    python calibration/make.py PATH/empathy-judges

Each line of `CARDS` is one ``pixel-synth calibrate``.  Real conversations are those of the published empathy-judges data (Kumar et al.,
2025; MIT, EmpatheticDialogues CC-BY-NC; only figures of them go onto cards), and of them only the held-out ones; generated ones are made
here with the composer.  A test holds that every scorer has a card and that none is stale.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pixel_synth.cli import main
from pixel_synth.records import Conversation, Message, Provenance, stable_id

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SESSIONS = 120
OWN_WORDS = "literature; patterns mended on the items that are not held out, and on sentences of our own"
SEEN = "; chosen among variants with the held-out figures in sight (docs/scorers.md), so these flatter it"
LISTENING = ("validating_emotions", "encouraging_elaboration", "demonstrating_understanding", "advice_giving", "self_oriented",
             "dismissing_emotions")  # fmt: skip
MECHANISMS = ("level_emotional_reactions", "level_interpretations", "level_explorations")


def rated(metric: str, source: str, *criteria: str) -> list[str]:
    """Return the flags of a card against experts' ratings."""
    named = [f for c in criteria for f in ("--criterion", c)]
    words = OWN_WORDS + SEEN if metric == "emotional_authenticity" or metric.endswith("emotional_reactions") else OWN_WORDS
    return ["--scorer", metric, "--labels", "RATED", "--source", source, *named, "--held-out", "--trained-on", words]


CARDS: tuple[list[str], ...] = (
    ["--scorer", "coherence", "--labels", "RATED", "--source", "lend_an_ear", "--shuffled", "1", "--held-out", "--trained-on",
     "composer sessions and the conversations that are not held out"],
    ["--scorer", "coherence", "--labels", "RATED", "--source", "lend_an_ear", "--source", "empatheticdialogues", "--shuffled", "1",
     "--held-out", "--trained-on", "composer sessions and the conversations that are not held out"],
    ["--scorer", "coherence", "--conversations", "SESSIONS", "--shuffled", "1", "--name", "generated", "--trained-on",
     "composer sessions of other seeds"],
    rated("coherence", "empatheticdialogues", "relevance"),
    rated("emotional_authenticity", "lend_an_ear", *LISTENING),
    rated("emotional_authenticity", "empatheticdialogues", "empathy"),
    rated("emotional_authenticity", "epitome", *MECHANISMS),
    rated("emotional_authenticity.explorations", "epitome", "level_explorations"),
    rated("emotional_authenticity.emotional_reactions", "epitome", "level_emotional_reactions"),
    rated("emotional_authenticity.interpretations", "epitome", "level_interpretations"),
    rated("emotional_authenticity.advice_giving", "lend_an_ear", "advice_giving"),
    rated("emotional_authenticity.encouraging_elaboration", "lend_an_ear", "encouraging_elaboration"),
    rated("therapeutic_accuracy", "lend_an_ear", "encouraging_elaboration", "demonstrating_understanding", "advice_giving"),
    rated("language_quality", "empatheticdialogues", "fluency"),
    rated("overall", "lend_an_ear", *LISTENING),
    ["--scorer", "clinical_compliance", "--labels", "calibration/labels/compliance.csv",
     "--conversations", "calibration/labels/compliance.jsonl", "--criterion", "compliant", "--group", "constructed",
     "--origin", "constructed", "--license", "Apache-2.0", "--trained-on",
     "literature, sentences of our own and calibration/rules/train.jsonl; the author of the sessions knew none of them"],
    ["--scorer", "personality_consistency", "--conversations", "SESSIONS", "--swapped", "--name", "generated", "--trained-on",
     "literature"],
    ["--scorer", "urgency", "--labels", "UTTERANCES.csv", "--conversations", "UTTERANCES.jsonl", "--criterion", "urgency", "--scale",
     "urgency=0,3,2", "--group", "constructed", "--origin", "constructed", "--license", "Apache-2.0", "--trained-on",
     "1,681 utterances written for it, client lines of the packs, Counsel Chat questions; the author of these knew none of it"],
    ["--scorer", "complexity", "--conversations", "SESSIONS", "--planned", "--name", "generated", "--trained-on", "literature"],
)  # fmt: skip


def sessions(folder: Path) -> Path:
    """Generate sessions with a seed that nothing was developed on, ungated, and return the file.

    Without any card, so that cards do not hang on the cards before them, nor on whether these can still be read.
    """
    bare = folder / "calibration"
    shutil.copytree(HERE / "anchors", bare / "anchors")
    script = [sys.executable, str(ROOT / "pipelines" / "psychology.py"), "--engine", "composer", "-n", str(SESSIONS), "--seed", "90210"]
    environment = {**os.environ, "PIXEL_CALIBRATION_DIR": str(bare)}
    subprocess.run([*script, "--out", str(folder)], check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603
    data = folder / "psychology-001" / "data"
    path = folder / "sessions.jsonl"
    path.write_text(
        "".join((data / name).read_text(encoding="utf-8") for name in ("conversations.jsonl", "rejected.jsonl")), encoding="utf-8"
    )
    return path


def utterances(folder: Path) -> str:
    """Write the independent author's utterances as labels and one-message conversations; return their path without ending."""
    rows = [json.loads(line) for line in (HERE / "urgency" / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    made = Provenance(engine="", model="", toolkit="", seed=0, source="urgency", license="Apache-2.0")
    with (folder / "urgency.csv").open("w", encoding="utf-8") as labels, (folder / "urgency.jsonl").open("w", encoding="utf-8") as file:
        labels.write("item,criterion,rater,group,rating\n")
        for row in rows:
            said = (Message(role="user", content=row["text"]), Message(role="assistant", content="Thank you for telling me."))
            one = Conversation(id=stable_id("urgency", row["text"]), category="mental_health", messages=said, provenance=made)
            labels.write(f"{one.id},urgency,author,constructed,{row['level']}\n")
            file.write(one.model_dump_json() + "\n")
    return str(folder / "urgency")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as temporary:
        places = {"RATED": sys.argv[1], "SESSIONS": str(sessions(Path(temporary)))}
        stem = utterances(Path(temporary))
        places |= {"UTTERANCES.csv": stem + ".csv", "UTTERANCES.jsonl": stem + ".jsonl"}
        statuses = []
        for flags in CARDS:
            sys.argv = ["pixel-synth", "calibrate", *(places.get(f, f) for f in flags), "-o", str(HERE / "cards")]
            print(" ".join(flags[:4]), file=sys.stderr)
            statuses.append(main(sys.argv[1:]))
    sys.exit(max(statuses))
