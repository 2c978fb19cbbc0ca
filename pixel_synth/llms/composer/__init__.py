"""The composer: an embedded engine without a model, that puts any blueprint into words.

A session state machine (`agenda`, `session`) decides what happens turn by turn: disclosure paced by attachment,
resistance and repair, the modality's own moves, the crisis protocol.  A grammar (`voice`, ``grammar.yaml``) and
the talk of the knowledge packs decide how it is said.  Everything is a pure function of blueprint and packs.
"""

from pixel_synth.llms.composer.engine import Composer

__all__ = ["Composer"]
