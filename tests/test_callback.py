"""The trainer callback: what it refuses anywhere, and what it logs in a real training of a tiny model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixel_synth.draw import Draw
from pixel_synth.errors import RecordError, UsageError
from pixel_synth.prove.callback import KEYS, QualityCallback
from pixel_synth.prove.monitor.alert import read as read_alerts
from pixel_synth.prove.monitor.consumed import ScoreTable, key_of, load_table
from pixel_synth.prove.monitor.drift import Limits
from pixel_synth.prove.monitor.store import read, windows
from pixel_synth.records import Conversation, Message, Provenance, Score

N = 320
real = [
    pytest.mark.heavy,
    pytest.mark.skipif(
        not os.environ.get("REAL_MODELS") and not (find_spec("torch") and find_spec("accelerate")), reason="needs the extra"
    ),
]


def talk(i: int) -> Conversation:
    """The later half of the records has worse scores and comes from another source."""
    late = i >= N // 2
    value = Draw("callback", i).below(200) / 1000 + (0.5 if late else 0.8)
    return Conversation(
        id=f"id-{i:04}",
        category="mental_health" if late else "psychology",
        messages=(Message(role="user", content=f"I keep thinking of it, {i}."), Message(role="assistant", content="What is it like?")),
        scores=(Score(metric="overall", value=value), Score(metric="coherence", value=None, reason="one turn")),
        provenance=Provenance(engine="e", model="m", toolkit="0", seed=0, source="forum" if late else "generated"),
    )


@pytest.fixture(scope="module")
def table() -> ScoreTable:
    return ScoreTable((talk(i) for i in range(N)), "dataset-001")


def test_the_table_finds_records_by_id_and_counts_the_unknown(table: ScoreTable) -> None:
    rows, unknown = table.find([key_of("id-0007"), key_of("nobody"), key_of("id-0000"), 0])
    assert rows.tolist() == [7, 0]
    assert unknown == 1
    window = table.window(rows, "run", "training", 5)
    overall = next(p for p in window.points if p.dimension == "all" and p.metric == "overall")
    means = [talk(i).scores[0].value or 0 for i in (7, 0)]
    assert overall.mean == pytest.approx(sum(means) / 2, abs=1e-6)
    assert {p.unscored for p in window.points if p.metric == "coherence"} == {2}
    assert {s.dimension: s.counts for s in window.shares}["source"] == {"generated": 2}


def test_the_table_refuses_an_id_that_two_records_have() -> None:
    with pytest.raises(RecordError, match="same id"):
        ScoreTable([talk(1), talk(2), talk(1)], "twice")


def test_the_table_is_read_from_the_training_split_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text("".join(talk(i).line() + "\n" for i in range(5)))
    assert len(load_table(tmp_path)) == 5
    with pytest.raises(UsageError, match=r"data/train\.jsonl"):
        load_table(tmp_path / "data")


@pytest.mark.skipif(find_spec("transformers") is not None, reason="transformers is here")
def test_without_transformers_the_callback_says_what_to_install(table: ScoreTable) -> None:
    with pytest.raises(UsageError, match="transformers") as raised:
        QualityCallback(table)
    assert "pip install" in str(raised.value)


def test_loading_the_commands_imports_no_transformers() -> None:
    told = "import sys, pixel_synth.cli, pixel_synth.prove.monitor.consumed; print({'transformers', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "set()"


# ------------------------------------------------------------------------------------------- real trainings


Train = Callable[..., tuple[Any, QualityCallback]]


@pytest.fixture
def train(tmp_path: Path, table: ScoreTable) -> Train:
    """Train on the records in their order or shuffled; the trainer and the callback are given back."""

    def run(*, shuffled: bool = True, id_of: Callable[[int], Any] | None = lambda i: f"id-{i:04}", workers: int = 0, **given: Any) -> Any:
        import torch
        from datasets import Dataset
        from transformers import LlamaConfig, LlamaForCausalLM, PrinterCallback, Trainer, TrainingArguments, default_data_collator

        torch.set_num_threads(1)
        shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 256}
        texts = [list(" ".join(m.content for m in talk(i).messages).encode()[:32]) for i in range(N)]
        columns = {"input_ids": texts, "labels": texts, "source": ["x"] * N}
        data = Dataset.from_dict(columns | ({"id": [id_of(i) for i in range(N)]} if id_of else {}))
        args = TrainingArguments(
            output_dir=str(tmp_path / "out"), per_device_train_batch_size=8, gradient_accumulation_steps=2, num_train_epochs=1,
            logging_steps=5, report_to="none", use_cpu=True, disable_tqdm=True, save_strategy="no", dataloader_num_workers=workers,
            eval_strategy="epoch", train_sampling_strategy="random" if shuffled else "sequential",
        )  # fmt: skip
        trainer = Trainer(
            model=LlamaForCausalLM(LlamaConfig(**shape)), args=args, train_dataset=data, eval_dataset=data.select(range(8)),
            data_collator=default_data_collator,
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        callback = QualityCallback(table, every=5, **given)
        callback.attach(trainer)
        trainer.train()
        return trainer, callback

    return run


def logged(trainer: Any, key: str) -> list[float]:
    return [entry[key] for entry in trainer.state.log_history if key in entry]


class TestTraining:
    pytestmark = real

    def test_every_record_is_counted_once_and_evaluation_is_not(self, train: Train, tmp_path: Path) -> None:
        trainer, _ = train(workers=1)
        assert trainer.state.global_step == 20
        assert logged(trainer, "data/records") == [80, 160, 240, 320]
        assert logged(trainer, "data/unknown_ids")[-1] == 0
        assert logged(trainer, "loss")
        held = windows(read(tmp_path / "out" / "metrics.jsonl"))
        assert [w.window for w in held] == [5, 10, 15, 20]
        total = [p for w in held for p in w.points if p.dimension == "all" and p.metric == "overall"]
        mean = sum((p.mean or 0) * p.n for p in total) / N
        assert mean == pytest.approx(np.mean([talk(i).scores[0].value for i in range(N)]), abs=1e-5)
        assert trainer.evaluate()["eval_loss"] > 0

    def test_a_shuffled_training_raises_no_alert(self, train: Train, tmp_path: Path) -> None:
        trainer, _ = train()
        assert logged(trainer, "data/alerts") == [0.0] * 4
        assert not read_alerts(tmp_path / "out" / "alerts.jsonl")

    def test_the_bad_half_at_the_end_raises_an_alert(self, train: Train, tmp_path: Path) -> None:
        trainer, _ = train(shuffled=False, persist=(2, 2), limits=Limits(least=20))
        means = logged(trainer, "data/overall")
        assert min(means[:2]) > 0.85
        assert max(means[2:]) < 0.65
        assert logged(trainer, "data/source/forum") == [1.0, 1.0]
        alerts = read_alerts(tmp_path / "out" / "alerts.jsonl")
        assert ("drop", "overall", 20) in {(a.kind, a.metric, a.window) for a in alerts}

    def test_rows_and_packed_rows_are_counted_like_ids(self, train: Train) -> None:
        by_row, _ = train(id_of=lambda i: i)
        assert logged(by_row, "data/records")[-1] == N
        packed, _ = train(id_of=lambda i: [f"id-{i:04}", f"id-{(i + 1) % N:04}"][: 1 + i % 2])
        assert logged(packed, "data/records")[-1] == N + N // 2

    def test_ids_of_another_dataset_are_told_as_unknown(self, train: Train) -> None:
        trainer, _ = train(id_of=lambda i: f"other-{i}" if i % 4 == 0 else f"id-{i:04}")
        assert logged(trainer, "data/unknown_ids")[-1] == N // 4

    def test_a_training_set_without_ids_is_refused(self, train: Train) -> None:
        with pytest.raises(UsageError, match="no column 'id'") as raised:
            train(id_of=None)
        assert "add_column" in str(raised.value)

    def test_a_folder_that_cannot_be_written_does_not_stop_the_training(self, train: Train, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("a file")
        trainer, _ = train(out=tmp_path / "taken")
        assert trainer.state.global_step == 20
        assert json.dumps(logged(trainer, "data/records")) == "[80, 160, 240, 320]"

    def test_the_keys_never_reach_the_model(self, train: Train) -> None:
        trainer, callback = train()
        batch = next(iter(trainer.get_train_dataloader()))
        assert KEYS in batch
        assert KEYS not in callback._before(trainer.model, (), dict(batch))[1]
