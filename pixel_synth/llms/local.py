"""Engine ``transformers``: a model in this process, its answers constrained to the schema by outlines.

For small models on a CPU or on one GPU.  Calls that wait at the same time are generated together by one thread; each
keeps its own schema, sampling and limit (`local_generate`).  Nothing heavy is imported before the model is loaded.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from concurrent.futures import Future
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pixel_synth.errors import EngineDown, EngineError
from pixel_synth.llms.engine import Call, Completion

if TYPE_CHECKING:
    from pixel_synth.llms.local_generate import Generator

NEEDS = ("torch", "transformers", "outlines", "llguidance")
GATHER_S = 0.01  # how long a batch that is not full waits for one more call

Waiting = tuple[Call, "Future[Completion]"]


class LocalModel:
    """A causal language model of the ``transformers`` library.

    Args:
        model: A folder with ``config.json``, safetensors weights and a tokenizer with a chat template, or a hub id.
        device: A torch device; ``auto`` takes cuda, else mps, else cpu.
        dtype: Name of a torch dtype (``bfloat16``); ``auto`` takes the checkpoint's own.
        batch: How many calls are generated together at most; it is halved for good when memory runs out.
        revision: Of a hub id: branch, tag or commit.

    Raises:
        EngineError: When the extra is not installed.
    """

    name = "transformers"

    def __init__(self, model: str, *, device: str = "auto", dtype: str = "auto", batch: int = 8, revision: str | None = None) -> None:
        missing = [name for name in NEEDS if find_spec(name) is None]
        if missing:
            raise EngineError(f"engine 'transformers' needs {', '.join(missing)}", hint="pip install 'pixel-synth[transformers]'")
        if batch < 1:
            raise EngineError(f"batch must be at least 1, not {batch}", kind="bad_request")
        self.model, self.device, self.dtype, self.batch, self.revision = model, device, dtype, batch, revision
        self._generator: Generator | None = None
        self._loading = threading.Lock()
        self._failure: EngineError | None = None
        self._waiting: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._gate = threading.Lock()  # held to queue a call or to close, so that no call is queued after the close
        self._thread: threading.Thread | None = None

    def load(self) -> None:
        """Load tokenizer and weights; a second call does nothing.

        Raises:
            EngineDown: When they cannot be had or used; every later call fails in the same way.
        """
        self._loaded()

    def _loaded(self) -> Generator:
        with self._loading:
            if self._failure:
                raise self._failure
            if self._generator is None:
                try:
                    from pixel_synth.llms import local_generate

                    self._generator = local_generate.load(self.model, self.device, self.dtype, self.batch, self.revision)
                except Exception as error:
                    self._failure = (
                        error if isinstance(error, EngineError) else EngineDown(f"model {self.model!r} cannot be loaded: {error}")
                    )
                    raise self._failure from error
            return self._generator

    async def complete(self, call: Call) -> Completion:
        """Answer one call, together with whatever else waits.

        Raises:
            EngineError: When the prompt is too long, the sampling unknown, the model unusable or the engine closed.
        """
        future: Future[Completion] = Future()
        with self._gate:
            if self._closing.is_set():
                raise _closed()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="local-model", daemon=True)
                self._thread.start()
            self._waiting.put((call, future))
        return await asyncio.wrap_future(future)

    async def close(self) -> None:
        """Stop generating, fail the calls that wait, and free the model."""
        with self._gate:
            self._closing.set()
            self._waiting.put(None)
        if self._thread:
            await asyncio.to_thread(self._thread.join)
        if self._generator:
            self._generator.free()
        self._generator = None

    def _work(self) -> None:
        while not self._closing.is_set():
            batch = self._gather()
            calls = [call for call, _ in batch]
            try:
                answers = self._loaded().answer(calls, self._closing) if calls else []
            except BaseException as error:  # a panic in Rust is no Exception; whatever it is, the calls that wait must hear of it
                failure = error if isinstance(error, EngineError) else EngineError(f"{type(error).__name__}: {error}")
                answers = [failure] * len(batch)
            for (_, future), answer in zip(batch, answers, strict=True):
                if isinstance(answer, EngineError):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
        self._refuse_rest()

    def _gather(self) -> list[Waiting]:
        """Wait for a call, then take whoever else waits, in order of arrival and without those given up."""
        taken: list[Waiting] = []
        while len(taken) < self.batch:
            try:
                item = self._waiting.get(timeout=GATHER_S if taken else None)
            except queue.Empty:
                break
            if item is None:
                break
            if item[1].set_running_or_notify_cancel():
                taken.append(item)
        return taken

    def _refuse_rest(self) -> None:
        while not self._waiting.empty():
            item = self._waiting.get()
            if item and item[1].set_running_or_notify_cancel():
                item[1].set_exception(_closed())


def _closed() -> EngineError:
    return EngineError("the engine was closed")
