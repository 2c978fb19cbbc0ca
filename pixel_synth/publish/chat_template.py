"""Conversations as one text: by the chat template of a tokenizer, or by plain ChatML; and how many tokens that is.

A tokenizer is a folder as the Hugging Face libraries save it: ``tokenizer.json``, and the template in ``chat_template.jinja`` or
``tokenizer_config.json`` (https://huggingface.co/docs/transformers/chat_templating).  Nothing is fetched.  A template is code that came
with data, so it runs in Jinja's sandbox; a clock it may ask for is not there, so that the same records give the same text on any day.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from pixel_synth.errors import RecordError, UsageError

# ChatML as OpenAI published it (openai-python 0.27, chatml.md) and most open models took it over.
CHATML = "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
PLAIN = "plain ChatML"
_MARKS = ("<|im_start|>", "<|im_end|>")
# Marks the assistant's tokens for training masks; in text it stands for nothing, as a comment does.
_GENERATION = re.compile(r"\{%(-?)\s*(?:end)?generation\s*(-?)%\}")


class Rendered(NamedTuple):
    """One conversation as text; ``defused`` counts the marks of the template that stood in what people say."""

    text: str
    defused: int


class Template:
    """A chat template, and the tokenizer it belongs to where there is one.

    Args:
        folder: Folder of a tokenizer; ``None`` = plain ChatML, and no tokens can be counted.

    Raises:
        UsageError: When the folder holds no tokenizer, its template is no Jinja, or the package that reads it is missing.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.tokenizer: Any = _tokenizer(folder) if folder else None
        config = _config(folder) if folder else {}
        source = _template(folder, config) if folder else ""
        self.source = source or CHATML
        self.name = f"chat template of {folder.resolve().name}" if folder and source else PLAIN
        self._names = {key: _token(config.get(key)) for key in ("bos_token", "eos_token", "pad_token", "unk_token")}
        marks = {t.content for t in self.tokenizer.get_added_tokens_decoder().values() if t.special} if self.tokenizer else set()
        self._marks = tuple(sorted({*marks, *_MARKS} if self.source == CHATML else marks, key=lambda m: (-len(m), m)))
        self._compiled = self._compile()

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the template's text."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    def _compile(self) -> Any:
        from jinja2 import TemplateSyntaxError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
        env.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
        env.globals["raise_exception"] = _refuse
        try:
            return env.from_string(_GENERATION.sub(r"{#\1 \2#}", self.source))
        except TemplateSyntaxError as error:
            raise UsageError(f"{self.name}, line {error.lineno}: {error.message}", hint="look at its chat_template.jinja") from error

    def render(self, messages: Sequence[Mapping[str, str]]) -> Rendered:
        """Return messages as the text that a model is trained on, without a prompt for a further reply.

        A mark of the template that stands in what somebody says gets a space after its first character, so that nobody can end a turn by
        words; ``messages`` keep it.

        Raises:
            RecordError: When the template refuses the messages, because roles do not alternate for example.
        """
        from jinja2 import TemplateError

        safe, defused = self._defused(messages)
        try:
            text = self._compiled.render(messages=safe, add_generation_prompt=False, **self._names)
        except (TemplateError, TypeError) as error:
            raise RecordError(f"the {self.name} refuses these messages: {error}", hint="render with another tokenizer, or none") from error
        return Rendered(text, defused)

    def _defused(self, messages: Sequence[Mapping[str, str]]) -> tuple[list[dict[str, str]], int]:
        safe, found = [], 0
        for message in messages:
            content = message["content"]
            for mark in self._marks:
                if mark in content:
                    found += content.count(mark)
                    content = content.replace(mark, f"{mark[0]} {mark[1:]}")
            safe.append({**message, "content": content})
        return safe, found

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text is; templates write the special ones themselves, so none is added.

        Raises:
            UsageError: When there is no tokenizer.
        """
        if self.tokenizer is None:
            raise UsageError("tokens cannot be counted without a tokenizer", hint="--tokenizer FOLDER")
        return [len(encoding.ids) for encoding in self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


def _refuse(message: str) -> NoReturn:
    from jinja2 import TemplateError

    raise TemplateError(message)


def _tokenizer(folder: Path) -> Any:
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise UsageError(
            f"{folder} is no folder with a tokenizer.json", hint=f"hf download {folder} --include 'token*' 'chat*' --local-dir DIR"
        )
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise UsageError("reading a tokenizer needs the package tokenizers", hint="pip install 'pixel-synth[tokenizer]'") from error
    try:
        found = Tokenizer.from_buffer(path.read_bytes())
    except ValueError as error:
        raise UsageError(f"{path} is no tokenizer: {error}", hint="fetch it again") from error
    found.no_truncation()
    found.no_padding()
    return found


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    if not path.is_file():
        return {}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path}: {error}", hint="fetch it again") from error
    if not isinstance(data, dict):
        raise UsageError(f"{path} holds no JSON object", hint="fetch it again")
    return data


def _template(folder: Path, config: Mapping[str, Any]) -> str:
    """Return the template that a tokenizer brings, or ""; of several the one that is called default."""
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    found = config.get("chat_template") or ""
    if isinstance(found, list):
        found = next((t["template"] for t in found if t.get("name") == "default"), "")
    return str(found)


def _token(value: object) -> str:
    """Return a special token, which is a string or an object with ``content``."""
    return str(value.get("content", "")) if isinstance(value, dict) else str(value or "")
