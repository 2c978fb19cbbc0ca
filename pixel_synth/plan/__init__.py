"""The plan: which conversation to write next, so that coverage is a property and not luck."""

from __future__ import annotations

from itertools import islice

from pixel_synth.knowledge import Knowledge
from pixel_synth.plan.blueprint import draw_blueprint
from pixel_synth.plan.coverage import Cell, Ruled, Space, coverage, deal, ruled_out, space, used
from pixel_synth.records import Blueprint
from pixel_synth.settings import Settings

__all__ = ["Cell", "Plan", "Ruled", "Space", "coverage", "make_plan", "ruled_out", "used"]


class Plan:
    """``n`` slots with their cells; blueprints are drawn on demand, for any attempt."""

    def __init__(self, settings: Settings, knowledge: Knowledge, n: int) -> None:
        self.space = space(settings, knowledge)
        self.seed = settings.seed
        self.knowledge = knowledge
        self.cells: tuple[Cell, ...] = tuple(islice(deal(self.space, settings.seed), n))

    def blueprint(self, slot: int, attempt: int = 0) -> Blueprint:
        """Return the blueprint of a slot; a higher attempt keeps the cell and draws a new client and session."""
        return draw_blueprint(self.knowledge, self.seed, slot, attempt, self.cells[slot])


def make_plan(settings: Settings, knowledge: Knowledge) -> Plan:
    """Plan ``settings.accept`` slots."""
    return Plan(settings, knowledge, settings.accept)
