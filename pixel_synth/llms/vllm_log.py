"""What vLLM's log says, for people: the lines that matter, without secrets, and what to do about a known cause."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence, Set
from pathlib import Path

TAIL_BYTES, TAIL_LINES, CAUSES, WIDTH = 65_536, 15, 3, 200

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# "(EngineCore pid=7362) ERROR 11-22 17:15:30 [core.py:1512] " says who and where, not what.
_PREFIX = re.compile(r"^(\([^()]*pid=\d+\)\s*)?((DEBUG|INFO|WARNING|ERROR|CRITICAL)\s+\d\d-\d\d [\d:]{8}\s+\[[^]]*\]\s*)?")
# Complaints of a library at its end, the source lines of tracebacks, the banner, warnings for vLLM's own developers.
_NOISE = re.compile(r"^(nanobind: | - (leaked|\.\.\.)|\s{4}|\s+File \"|\s+(super|warnings\.)|[\s█▄▀]*[█▄▀]|.*\bDeprecationWarning: )")
_CAUSE = re.compile(r"^([\w.]*(Error|Exception)\b|.*: error:)")
_TOKEN = re.compile(r"\b(hf_|sk-)[\w-]{8,}")
_SECRET_NAME = re.compile(r"(TOKEN|KEY|SECRET|PASSWORD)$", re.IGNORECASE)

# What is found in the log, and what helps; the first that matches is told.
_HINTS: tuple[tuple[str, str], ...] = (
    (
        r"less than desired|Available memory on node",
        "give vLLM a smaller share of the memory: --gpu-memory-utilization 0.2 in the setting vllm_args",
    ),
    (
        r"out of memory|OutOfMemoryError|No available memory for the cache|KV cache is needed",
        "too little memory: a smaller max_model_len, another --gpu-memory-utilization (setting vllm_args), or a smaller model",
    ),
    (r"greater than the derived max_model_len", "the model's own context is shorter: a smaller max_model_len"),
    (
        r"unrecognized arguments|invalid choice|expected one argument|error: argument",
        "this vLLM does not take one of the flags given to it: see the setting vllm_args",
    ),
    (r"[Aa]ddress already in use", "another program took the port meanwhile: start again"),
    (r"gated repo|401 Client Error|GatedRepoError", "the model's licence has to be accepted, and HF_TOKEN set"),
    (
        r"Repository ?Not ?Found|not a valid model identifier|Invalid repository ID|config\.json|LocalEntryNotFound|Repo id must",
        "no such model: give a folder with config.json, or a hub name that can be reached or is in the local cache",
    ),
    (r"No module named '?vllm|No package metadata was found for vllm", "pip install 'pixel-synth[vllm]'"),
    (r"Failed to infer device type|No CUDA GPUs are available|NVML", "vLLM finds no GPU: see nvidia-smi -L and CUDA_VISIBLE_DEVICES"),
)


def secrets(extra: Sequence[str] = ()) -> set[str]:
    """Return the values never to be printed: keys and tokens of the environment and of the flags passed through."""
    found = {value for name, value in os.environ.items() if _SECRET_NAME.search(name)}
    for flag, following in zip(extra, [*extra[1:], ""], strict=False):
        name, _, value = flag.partition("=")
        if name.startswith("-") and _SECRET_NAME.search(name):
            found.add(value or following)
    return {value for value in found if len(value) >= 6}


def clean(line: str, hidden: Set[str] = frozenset()) -> str:
    """Return a log line without colours, prefixes and secrets, cut to `WIDTH` characters."""
    text = _PREFIX.sub("", _COLOUR.sub("", line)).rstrip()
    for secret in sorted(hidden, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _TOKEN.sub(r"\1***", text)[:WIDTH]


def read(path: Path, start: int, hidden: Set[str]) -> list[str]:
    """Return the cleaned lines written at or after byte ``start``, at most the last `TAIL_BYTES`."""
    try:
        with path.open("rb") as file:
            file.seek(max(start, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    lines = (clean(line, hidden) for line in re.split(r"[\r\n]+", text))
    return [line for line in lines if line.strip() and not _NOISE.match(line)]


def tail(lines: list[str]) -> str:
    """Return the last lines, and above them the errors that were told before: the first error is mostly the cause."""
    last = lines[-TAIL_LINES:]
    causes = dict.fromkeys(line for line in lines[:-TAIL_LINES] if _CAUSE.match(line) and line not in last)
    return "\n".join([*list(causes)[:CAUSES], *(["…"] if causes else []), *last])


def hint(lines: list[str]) -> str:
    """Return what to do about the first known cause in the lines, or ""."""
    text = "\n".join(lines)
    return next((help_ for pattern, help_ in _HINTS if re.search(pattern, text)), "")
