"""Help texts and the bare package load nothing heavy; what is loaded is read from the interpreter, no clock is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"pydantic", "pydantic_settings", "distilabel", "datasets", "numpy", "yaml", "rich", "jinja2", "pyarrow", "matplotlib", "pandas"}
ROOT = Path(__file__).resolve().parent.parent


def loaded(*args: str) -> tuple[int, str, set[str]]:
    """Run the interpreter and return (status, stdout, top-level packages it imported)."""
    done = subprocess.run([sys.executable, "-X", "importtime", *args], capture_output=True, text=True, timeout=60, check=False)
    rows = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return done.returncode, done.stdout, {row.rsplit("|", 1)[1].strip().split(".")[0] for row in rows}


@pytest.mark.parametrize(
    "args", [(str(ROOT / "pipelines" / "psychology.py"), "--help"), ("-m", "pixel_synth.cli", "--help")], ids=["pipeline", "cli"]
)
def test_help_loads_nothing_heavy(args: tuple[str, ...]) -> None:
    status, told, names = loaded(*args)
    assert status == 0
    assert "usage:" in told
    assert "argparse" in names
    assert not names & HEAVY


def test_importing_the_package_loads_nothing_heavy() -> None:
    status, told, names = loaded("-c", "import pixel_synth; print(pixel_synth.__version__)")
    assert status == 0
    assert told.strip()
    assert "pixel_synth" in names
    assert not names & HEAVY


def test_the_cli_lists_prompts_without_distilabel_or_datasets() -> None:
    status, _, names = loaded("-m", "pixel_synth.cli", "prompts")
    assert status == 0
    assert "yaml" in names
    assert not names & {"distilabel", "datasets", "matplotlib", "pyarrow"}
