"""Records, a folder of splits and a tiny real tokenizer for the tests of exports and cards."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from pixel_synth.records import Conversation, Kind, Labels, Message, Provenance, Redaction, Score, Verdict

TEMPLATE = (
    "{{ bos_token }}{%- for m in messages %}{% if m.role == 'assistant' %}"
    "{% generation %}[A]{{ m.content }}{{ eos_token }}{% endgeneration %}"
    "{% else %}[{{ m['role'] | upper | first }}]{{ m.content }}{% endif %}{{ '\\n' }}{% endfor %}"
)


def record(id: str, *said: str, kind: Kind = "session", source: str = "generated", **more: object) -> Conversation:
    """Return a record in which client and therapist speak in turn; the client alone in ``client_lines``."""
    roles = ("user",) if kind == "client_lines" else ("user", "assistant")
    talk = tuple(Message(role=roles[i % len(roles)], content=text) for i, text in enumerate(said or ("I can't sleep.", "Since when?")))
    license = "Apache-2.0" if source == "generated" else "MIT"
    engine = "composer" if source == "generated" else "human"
    origin = Provenance(engine=engine, model="", toolkit="0", seed=0, source=source, license=license)
    given = {"category": "psychology", "labels": Labels(kind=kind, language="en", risk="none"), **more}
    return Conversation(id=id, messages=talk, provenance=origin, **given)


def preferring(id: str) -> Conversation:
    """Return a record with a reply that should not have been given."""
    said = (Message(role="assistant", content="Pull yourself together."),)
    return record(id, "I failed.", "That must hurt.", kind="preference", source="gutenberg", category="personality", dispreferred=said)


def write(path: Path, records: Iterable[Conversation]) -> Path:
    """Write records to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(r.line() + "\n" for r in records), encoding="utf-8")
    return path


def dataset(folder: Path) -> Path:
    """Write a folder with every part, the test split among them empty."""
    scores = (Score(metric="overall", value=0.9, calibrated=0.8), Score(metric="coherence", value=None, reason="too short"))
    train = [record(f"t{i}", f"Hello {i}, I can't sleep since {i} days.", "What keeps you awake?", scores=scores) for i in range(8)]
    train.append(record("cot", "Why am I sad?", "Loss takes time.", kind="reasoning", category="reasoning", thought="Grief?\nYes."))
    train.append(preferring("p1"))
    write(folder / "train.jsonl", train)
    held = record("v1", source="talks", category="mental_health", redactions=(Redaction(kind="email", count=2),))
    write(folder / "validation.jsonl", [held.model_copy(update={"verdict": Verdict(accepted=True, review=("risk",))})])
    write(folder / "test.jsonl", [])
    write(folder / "auxiliary.jsonl", [record("a1", kind="instruction", source="slim", category="auxiliary")])
    write(folder / "client_lines.jsonl", [record("c1", "I'm cold.", "And you never listen.", kind="client_lines", source="dark")])
    return folder


def tokenizer(folder: Path, template: str = TEMPLATE) -> Path:
    """Train a small byte-level tokenizer and save it as the Hugging Face libraries do."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    special, letters = ["<s>", "</s>"], pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=letters, show_progress=False)
    bpe.train_from_iterator(["I can't sleep.", "What keeps you awake?"] * 3, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    bpe.save(str(folder / "tokenizer.json"))
    config = {"bos_token": "<s>", "eos_token": {"content": "</s>"}, **({"chat_template": template} if template else {})}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder
