"""A dataset run that is killed anywhere goes on to the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from small_dataset import make, write_inputs

from pixel_synth.draw import Draw
from pixel_synth.plan import Plan
from pixel_synth.records import Blueprint, Conversation

SCRIPT = Path(__file__).resolve().parent.parent / "pipelines" / "dataset.py"
KILLS = 3


def start(*args: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(SCRIPT), *map(str, args)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.heavy
def test_kill_9_anywhere_loses_nothing(tmp_path: Path, plan: Plan, compose: Callable[[Blueprint], Conversation]) -> None:
    inputs = write_inputs(tmp_path, plan, compose)
    assert make(inputs, tmp_path / "whole", "--total", 20) == 0
    flags = [part for text in inputs for part in ("--input", text)]
    began = time.monotonic()
    first = start(*flags, "--out", tmp_path / "runs", "--total", 20, "--workers", 2)
    run = tmp_path / "runs" / "dataset-001"
    while not (run / "stages" / "01-gather").exists():
        time.sleep(0.05)
        assert first.poll() is None
    begun_s = time.monotonic() - began
    first.kill()
    first.wait()
    draw = Draw("kills", 1)
    for _ in range(KILLS):  # each a little later, so that all stages are met
        process = start("--resume", run, "--workers", 2)
        try:
            process.wait(begun_s + 8 * draw.below(1000) / 1000)
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()
    assert start("--resume", run, "--workers", 2).wait() == 0
    whole, again = (json.loads((path / "manifest.json").read_text())["files"] for path in (tmp_path / "whole" / "dataset-001", run))
    assert whole.keys() == again.keys()
    data = [name for name in whole if name.startswith("data/")]
    assert data
    assert [whole[name] for name in data] == [again[name] for name in data]
