"""The rules of the validator, each a few lines; add a `Check` to a file of this room and name it here."""

from __future__ import annotations

from pixel_synth.prove.rules.around import Licences, Manifest, PrivateFiles, StageBooks
from pixel_synth.prove.rules.integrity import Ids, Schema, Spans
from pixel_synth.prove.rules.quality import Floor, Thresholds
from pixel_synth.prove.rules.rule import About, Check, Limits, Place, Rule, Target
from pixel_synth.prove.rules.sizes import Sizes
from pixel_synth.prove.rules.speed import Speed
from pixel_synth.prove.rules.splits import Certified, Disjoint, SplitSizes
from pixel_synth.prove.rules.talk import ClientOnly, Languages, Private, Roles

CHECKS: tuple[type[Check], ...] = (
    Sizes,
    Thresholds,
    Floor,
    SplitSizes,
    Disjoint,
    Certified,
    Schema,
    Ids,
    Spans,
    Manifest,
    StageBooks,
    Roles,
    ClientOnly,
    Languages,
    Private,
    PrivateFiles,
    Licences,
    Speed,
)

__all__ = ["CHECKS", "About", "Check", "Limits", "Place", "Rule", "Target"]
