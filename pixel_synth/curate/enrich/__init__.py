"""Labels with evidence: what a record does not say of itself is found in its words, or stays empty."""

from __future__ import annotations

from pixel_synth.curate.enrich.label import enriched, enricher
from pixel_synth.curate.enrich.measure import FILLED, Coverage, Quality, measure

__all__ = ["FILLED", "Coverage", "Quality", "enriched", "enricher", "measure"]
