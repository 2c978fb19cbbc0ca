"""The tensors behind `local`: rows with different schemas and sampling, generated as one batch.

outlines' logits processor holds one schema for the whole batch.  `RowSampler` gives every row a grammar of its own, and
draws the row's token itself: with the row's temperature, its share of the probability mass and its own stream of random
numbers, seeded by the call.  ``generate`` then only has to take the one token that is left.

A call's answer so depends on the call alone as far as arithmetic allows: a batch of another width rounds differently in
the last digit.  Measured on a tiny model with nearly uniform probabilities (the worst case), answers of about 115 tokens,
alone against in a batch of 8: in float32 40 of 40 were the same, in bfloat16 only 25.  Who needs an answer again byte for
byte takes float32, or batch 1, or the ledger.
"""

from __future__ import annotations

import gc
import json
import random
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from llguidance import LLMatcher
from llguidance.torch import allocate_token_bitmask, fill_next_token_bitmask
from outlines import from_transformers
from outlines.backends.llguidance import LLGuidanceBackend, LLGuidanceLogitsProcessor
from pydantic import Field, ValidationError
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList
from transformers.utils import logging

from pixel_synth.errors import EngineDown, EngineError
from pixel_synth.llms.engine import Call, Completion
from pixel_synth.records import Record

HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
COMPACT = {"whitespace_flexible": False}  # llguidance: no blanks and line breaks between the parts of the JSON text


class Sampling(Record):
    """What a call may ask for, under OpenAI's names; anything else is refused, not ignored."""

    max_tokens: int = Field(ge=1)
    temperature: float = Field(default=1.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    seed: int | None = None
    n: int = 0  # which of several answers to the same messages: a part of the call's key


class Row:
    """One call while it is generated."""

    def __init__(self, call: Call, prompt: list[int], sampling: Sampling, limit: int, matcher: LLMatcher | None) -> None:
        self.prompt, self.sampling, self.limit, self.matcher = prompt, sampling, limit, matcher
        self.random = random.Random(call.key(""))  # the key covers the seed, and is there where no seed is given
        self.tokens: list[int] = []
        self.finish: Literal["stop", "length"] | None = None
        self.failure: EngineError | None = None

    @property
    def done(self) -> bool:
        """Whether no further token is wanted."""
        return bool(self.finish or self.failure)

    def take(self, token: int, ends: frozenset[int]) -> None:
        """Add a drawn token, and see whether it was the last."""
        self.tokens.append(token)
        if self.matcher and not self.matcher.consume_token(token):
            self.failure = EngineError(f"the grammar broke off: {self.matcher.get_error()}")
        elif token in ends or (self.matcher and self.matcher.is_stopped()):
            self.finish = "stop"
        elif len(self.tokens) >= self.limit:
            self.finish = "length"


class RowSampler(LLGuidanceLogitsProcessor):  # type: ignore[misc]
    """outlines' llguidance processor with a grammar and a way of sampling for each row."""

    def __init__(self, rows: Sequence[Row], llg_tokenizer: Any, ends: frozenset[int], pad: int) -> None:
        super().__init__("", llg_tokenizer, "torch")
        self.rows, self.ends, self.pad = rows, ends, pad
        self.bitmask = allocate_token_bitmask(len(rows), llg_tokenizer.vocab_size)

    def process_logits(self, input_ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Draw one token for each row that goes on; return scores that leave nothing else."""
        drawn = draw(logits.masked_fill(~self._allowed(logits), -torch.inf), self.rows).tolist()
        for index, (row, token) in enumerate(zip(self.rows, drawn, strict=True)):
            if row.done:
                drawn[index] = self.pad
            else:
                row.take(token, self.ends)
        chosen = torch.tensor(drawn, device=logits.device).unsqueeze(1)
        return torch.full_like(logits, -torch.inf).scatter_(1, chosen, 0.0)

    def _allowed(self, logits: torch.Tensor) -> torch.Tensor:
        """Return which tokens each row may take; ids without a token are never allowed."""
        self.bitmask.fill_(-1)
        for index, row in enumerate(self.rows):
            if row.matcher and not row.done:
                fill_next_token_bitmask(row.matcher, self.bitmask, index)
        words = self.bitmask.to(logits.device)
        bits = (words.unsqueeze(2) >> torch.arange(32, dtype=torch.int32, device=logits.device)) & 1
        allowed = torch.zeros_like(logits, dtype=torch.bool)
        width = min(self.llg_tokenizer.vocab_size, logits.shape[1])
        allowed[:, :width] = bits.flatten(1)[:, :width].bool()
        return allowed


def draw(logits: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
    """Draw one token id for each row.

    One uniform number a row is looked up in the cumulated probabilities, in the order of the vocabulary: rounding then
    moves the borders between tokens by a hair, where a ranking of near-equal tokens would change as a whole.
    """
    real = torch.float32 if logits.device.type == "mps" else torch.float64

    def column(values: list[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=real, device=logits.device).unsqueeze(1)

    heat, top_p = column([r.sampling.temperature for r in rows]), column([r.sampling.top_p for r in rows])
    best = logits.argmax(1, keepdim=True)
    mass = (logits.to(real) / heat.where(heat > 0, 1.0)).softmax(1)
    if any(r.sampling.top_p < 1 for r in rows):
        ranked = mass.sort(1, descending=True).values
        last = (ranked.cumsum(1) < top_p).sum(1, keepdim=True).clamp(max=logits.shape[1] - 1)
        mass = mass.masked_fill((mass < ranked.gather(1, last)) & (top_p < 1), 0.0)
    edges = mass.cumsum(1)
    token = torch.searchsorted(edges, column([r.random.random() for r in rows]) * edges[:, -1:], right=True)
    beyond = token >= logits.shape[1]  # a draw that was rounded up to the whole mass
    return best.where((heat == 0) | beyond, token).squeeze(1)


class AllDone(StoppingCriteria):  # type: ignore[misc]
    """A row is done when its sampler says so; everything is when the engine closes."""

    def __init__(self, rows: Sequence[Row], closing: threading.Event) -> None:
        self.rows, self.closing = rows, closing

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """Say which rows are done."""
        if self.closing.is_set():
            raise EngineError("the engine was closed")
        return torch.tensor([row.done for row in self.rows], device=input_ids.device)


class Generator:
    """A loaded model.

    Args:
        model: The model, on its device.
        tokenizer: Its tokenizer, with a chat template.
        batch: How many rows are generated together at most.
    """

    def __init__(self, model: Any, tokenizer: Any, batch: int) -> None:
        self.model, self.tokenizer, self.batch = model, tokenizer, batch
        self.backend = LLGuidanceBackend(from_transformers(model, tokenizer))
        self.context: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        known = model.generation_config.eos_token_id
        self.ends = frozenset([tokenizer.eos_token_id, *(known if isinstance(known, list) else [known])]) - {None}
        self.pad: int = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        # The checkpoint's penalties and temperatures would be laid over the call's.
        model.generation_config = GenerationConfig(do_sample=False, pad_token_id=self.pad)
        self._grammars: dict[str, LLMatcher] = {}

    def answer(self, calls: Sequence[Call], closing: threading.Event) -> list[Completion | EngineError]:
        """Answer calls in one batch, or in several where memory does not hold one."""
        done: list[Completion | EngineError] = []
        while len(done) < len(calls):
            part = calls[len(done) : len(done) + self.batch]
            try:
                done += self._batch(part, closing)
                continue
            except torch.OutOfMemoryError as error:
                message = str(error).partition(". ")[0]
            # The failed batch's tensors are free only now that its traceback is gone.
            self._empty_cache()
            if len(part) == 1:
                done.append(EngineError(f"out of memory at batch 1: {message}", hint="a smaller model, dtype or max_tokens"))
            self.batch = max(1, len(part) // 2)
        return done

    def _batch(self, calls: Sequence[Call], closing: threading.Event) -> list[Completion | EngineError]:
        made = [self._row(call) for call in calls]
        if rows := [row for row in made if isinstance(row, Row)]:
            self._generate(rows, closing)
        return [self._completion(row) if isinstance(row, Row) else row for row in made]

    def _row(self, call: Call) -> Row | EngineError:
        """Render, count and check one call."""
        try:
            sampling = Sampling.model_validate(call.sampling)
            prompt = self.tokenizer.apply_chat_template(call.messages, add_generation_prompt=True, return_dict=True)["input_ids"]
            room = self.context - len(prompt) if self.context else sampling.max_tokens
            if room < 1:
                raise EngineError(f"the prompt has {len(prompt)} tokens, the model's context is {self.context}", kind="bad_request")
            return Row(call, prompt, sampling, min(sampling.max_tokens, room), self._matcher(call.schema))
        except ValidationError as error:
            first = error.errors()[0]
            return EngineError(f"sampling {'.'.join(map(str, first['loc']))}: {first['msg']}", kind="bad_request")
        except EngineError as error:
            return error
        except Exception as error:  # the chat template is the model's own program and may refuse messages in any way
            return EngineError(f"the chat template refuses the messages: {error}", kind="bad_request")

    def _matcher(self, schema: dict[str, Any]) -> LLMatcher | None:
        """Return a fresh matcher for a schema; its grammar is compiled once."""
        if not schema:
            return None
        text = json.dumps({**schema, "x-guidance": COMPACT})
        if text not in self._grammars:
            grammar = self.backend.get_json_schema_logits_processor(text).grammar
            matcher = LLMatcher(self.backend.llg_tokenizer, grammar)
            if matcher.is_error():
                raise EngineError(f"no grammar for the schema: {matcher.get_error()}", kind="bad_request")
            self._grammars[text] = matcher
        return self._grammars[text].deep_copy()

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _generate(self, rows: list[Row], closing: threading.Event) -> None:
        width = max(len(row.prompt) for row in rows)
        ids = torch.full((len(rows), width), self.pad)
        mask = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, width - len(row.prompt) :] = torch.tensor(row.prompt)
            mask[i, width - len(row.prompt) :] = 1
        self.model.generate(
            ids.to(self.model.device),
            attention_mask=mask.to(self.model.device),
            max_new_tokens=max(row.limit for row in rows),
            logits_processor=LogitsProcessorList([RowSampler(rows, self.backend.llg_tokenizer, self.ends, self.pad)]),
            stopping_criteria=StoppingCriteriaList([AllDone(rows, closing)]),
        )

    def _completion(self, row: Row) -> Completion | EngineError:
        if row.failure:
            return row.failure
        text = self.tokenizer.decode(row.tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return Completion(text=text, finish=row.finish or "length", tokens_in=len(row.prompt), tokens_out=len(row.tokens))

    def free(self) -> None:
        """Give the memory back."""
        del self.model, self.backend
        self._grammars.clear()
        self._empty_cache()

    def _empty_cache(self) -> None:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def load(model: str, device: str, dtype: str, batch: int, revision: str | None) -> Generator:
    """Load a model from a folder, the local cache or the hub.  Code that comes with a model is never executed.

    Raises:
        EngineDown: When there is no such model, or it lacks what is needed.
    """
    _check_name(model)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    where = {"revision": revision} if revision else {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False, **where)
        weights = AutoModelForCausalLM.from_pretrained(model, dtype=dtype, use_safetensors=True, trust_remote_code=False, **where)
        if not tokenizer.chat_template:
            raise ValueError("its tokenizer has no chat template: an instruction-tuned model is needed")
        return Generator(weights.to(device).eval(), tokenizer, batch)
    except (OSError, ValueError, RuntimeError) as error:
        hint = "a folder with config.json and safetensors weights, or the id of a model on the hub"
        raise EngineDown(f"model {model!r} cannot be used: {error}", hint=hint) from error


def _check_name(model: str) -> None:
    folder = Path(model)
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise EngineDown(f"{model}: the folder has no config.json", hint="give the folder that holds the weights")
    if not folder.is_dir() and not HUB_ID.fullmatch(model):
        raise EngineDown(f"{model}: no such folder", hint="give a folder with config.json, or the id of a model on the hub")
