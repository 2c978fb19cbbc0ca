"""A callback of the `transformers` trainer that tells the quality of what is learnt from while it is learnt.

    callback = QualityCallback("runs/dataset-001", every=100)
    trainer = Trainer(model=model, args=args, train_dataset=dataset, data_collator=collator)
    callback.attach(trainer)

Each batch carries the keys of its records in one more tensor, made by the collator and taken out just before the model's forward pass.
So what is counted is what the model has seen, in its order: batches that workers fetched ahead and nobody used are not, nor is evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pixel_synth.errors import PixelError, UsageError
from pixel_synth.prove.monitor.alert import Webhook, keep
from pixel_synth.prove.monitor.consumed import ABSENT, ScoreTable, key_of, load_table
from pixel_synth.prove.monitor.drift import Limits
from pixel_synth.prove.monitor.store import METRICS, Window, append
from pixel_synth.prove.monitor.watch import Watch

try:
    from transformers import TrainerCallback
except ImportError:
    TrainerCallback = object

KEYS = "pixel_record_keys"  # the tensor (records, most ids of one row) in a batch
STAGE = "training"


class WithKeys:
    """A collator that passes on the keys of the records beside what another collator makes of the rest.

    Args:
        collator: Makes the batch.
        column: Column of a row's id: text, a row number of the score table, or a list of either where a row is packed from several records.
        rows: Keys by row number.

    It is picklable, so that data loader workers can have it.
    """

    def __init__(self, collator: Any, column: str, rows: Any) -> None:
        self.collator, self.column, self.rows = collator, column, rows

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> Any:
        """Return the batch with its keys."""
        import torch

        ids = [self._keys(f.get(self.column)) for f in features]
        most = max(1, *(len(keys) for keys in ids))
        batch = self.collator([{k: v for k, v in f.items() if k != self.column} for f in features])
        batch[KEYS] = torch.tensor([keys + [ABSENT] * (most - len(keys)) for keys in ids], dtype=torch.int64)
        return batch

    def _keys(self, found: Any) -> list[int]:
        if found is None:
            return []
        if hasattr(found, "tolist"):
            found = found.tolist()
        return [self._key(one) for one in (found if isinstance(found, list | tuple) else [found])]

    def _key(self, one: Any) -> int:
        if isinstance(one, str):
            return key_of(one)
        if not isinstance(one, int) or not 0 <= one < len(self.rows):
            raise UsageError(f"{self.column} {one!r} is neither an id nor a row of the score table, which has {len(self.rows):,}")
        return int(self.rows[one])


class QualityCallback(TrainerCallback):  # type: ignore[misc]
    """Logs mean scores, shares and drift of the consumed records, and keeps them in ``metrics.jsonl`` and ``alerts.jsonl``.

    In several processes each sees its own share of the batches; the first one's is logged.

    Args:
        data: Run directory of the dataset, a JSONL file of its training records, or a table made before.
        every: Steps of the optimizer per window.
        out: Folder of ``metrics.jsonl`` and ``alerts.jsonl``; the trainer's ``output_dir`` by default.
        column: Column of the dataset that holds the id.
        metrics: Scores to look at; all by default.
        limits: When a window differs from the whole dataset.
        persist: An alert needs so many of so many windows.
        webhook: Address that alerts are posted to, see `pixel_synth.prove.monitor.alert.Webhook`.

    Raises:
        UsageError: When transformers is not installed, or an argument is of no use.
        RecordError: When the dataset cannot be read.
    """

    def __init__(
        self,
        data: ScoreTable | Path | str,
        *,
        every: int = 100,
        out: Path | str | None = None,
        column: str = "id",
        metrics: Sequence[str] = (),
        limits: Limits | None = None,
        persist: tuple[int, int] = (2, 3),
        webhook: str = "",
    ) -> None:
        if TrainerCallback is object:
            raise UsageError("QualityCallback needs transformers", hint='pip install "pixel-synth[transformers]"')
        if every < 1:
            raise UsageError(f"every={every}: a window needs a step at least")
        self.table = data if isinstance(data, ScoreTable) else load_table(Path(data))
        if unknown := sorted(set(metrics) - set(self.table.metrics)):
            raise UsageError(f"no record has a score {', '.join(unknown)}", hint=f"they have {', '.join(self.table.metrics) or 'none'}")
        if not self.table.metrics:
            raise UsageError(f"{self.table.name}: no record has a score", hint="pixel-synth score FILE -o SCORED")
        self.watch = Watch(self.table.whole(), limits, *persist, metrics=metrics)
        self._every, self._column, self._metrics = every, column, tuple(metrics) or self.table.metrics
        self._out = None if out is None else Path(out)
        self._webhook = Webhook(webhook) if webhook else None
        self._trainer: Any = None
        self._hook: Any = None
        self._keys: list[Any] = []
        self._unknown = self._consumed = 0

    def attach(self, trainer: Any) -> None:
        """Become a callback of a trainer, and let its training batches carry their records' ids.

        The column is kept although no model takes it (``remove_unused_columns`` would take it away).

        Raises:
            UsageError: When the training set has no such column.
        """
        names = getattr(trainer.train_dataset, "column_names", None)
        if names is not None and self._column not in names:
            raise UsageError(
                f"the training set has no column {self._column!r}: {', '.join(names)}",
                hint=f"keep it when the dataset is mapped, or: dataset.add_column({self._column!r}, range(len(dataset)))",
            )
        if trainer.args.remove_unused_columns:
            trainer._set_signature_columns_if_needed()  # as the trainer or its subclass sees it; there is no public way
            trainer._signature_columns = [*trainer._signature_columns, self._column]
        trainer.data_collator = WithKeys(trainer.data_collator, self._column, self.table.rows)
        self._trainer = trainer
        self._hooked(trainer.model)
        trainer.add_callback(self)

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:
        """Begin with an empty window."""
        if self._trainer is None:
            raise UsageError(
                "QualityCallback was given to the trainer but not attached", hint="callback.attach(trainer), without callbacks="
            )
        self._out = self._out or Path(args.output_dir)
        self._keys = []
        self._hooked(model)

    def _hooked(self, model: Any) -> None:
        """Take the keys out of what this model is given; it stays so after the training, when the same batches are evaluated."""
        if self._hook is not None:
            self._hook.remove()
        self._hook = None if model is None else model.register_forward_pre_hook(self._before, with_kwargs=True)

    def _before(self, model: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        keys = kwargs.pop(KEYS, None)
        if keys is not None and model.training:
            self._keys.append(keys)
        return args, kwargs

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Close a window every so many steps."""
        if state.global_step % self._every == 0:
            due = control.should_log
            self._close(state)
            control.should_log = due  # logging clears it, and the trainer's own log of this step would be lost

    def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Close the last window."""
        self._close(state)

    def _close(self, state: Any) -> None:
        keys, self._keys = self._keys, []
        if not keys or not state.is_world_process_zero:
            return
        rows, unknown = self.table.find(np.concatenate([k.detach().cpu().numpy().ravel() for k in keys]))
        self._unknown += unknown
        self._consumed += len(rows)
        run = self._out.name if self._out else ""
        window = self.table.window(rows, run, STAGE, state.global_step)
        logs = self._logs(window)
        self._trainer.log(logs | self._alert(window))

    def _logs(self, window: Window) -> dict[str, float]:
        logs: dict[str, float] = {"data/records": self._consumed, "data/unknown_ids": self._unknown}
        for p in window.points:
            if p.dimension == "all" and p.metric in self._metrics and p.mean is not None:
                logs[f"data/{p.metric}"] = p.mean
        for s in window.shares:
            if s.dimension != "modality":
                total = sum(s.counts.values())
                logs |= {f"data/{s.dimension}/{name}": round(count / total, 4) for name, count in s.counts.items()}
        return logs

    def _alert(self, window: Window) -> dict[str, float]:
        """Keep the window and its alerts; what cannot be written is said, and training goes on."""
        if self._out is None:
            return {}
        seen = self.watch.see(window)
        try:
            append(self._out / METRICS, [*(p for p in window.points if p.metric in self._metrics), *window.shares])
            new = keep(self._out, seen.alerts)
        except PixelError as error:
            _warn(str(error))
            new = list(seen.alerts)
        for alert in new:
            _warn(alert.text)
        if new and self._webhook and (wrong := self._webhook.post(new)):
            _warn(wrong)
        return {"data/alerts": float(len(new))}


def _warn(text: str) -> None:
    import logging

    logging.getLogger("pixel_synth").warning(text)
