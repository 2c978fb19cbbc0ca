"""Typed knowledge packs: models, loader and checks."""

from pixel_synth.knowledge.load import Knowledge, Pack, load, load_dir, read_pack

__all__ = ["Knowledge", "Pack", "load", "load_dir", "read_pack"]
