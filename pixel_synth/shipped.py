"""Where the folders that travel with the package lie: packs, prompts, calibration."""

from __future__ import annotations

import os
from pathlib import Path


def shipped(name: str) -> Path:
    """Return ``PIXEL_<NAME>_DIR``, the checkout's folder of that name, or the installed copy."""
    if override := os.environ.get(f"PIXEL_{name.upper()}_DIR"):
        return Path(override)
    package = Path(__file__).resolve().parent
    checkout = package.parent / name
    return checkout if checkout.is_dir() else package / "_data" / name
