"""Typed entries of the knowledge packs.  One YAML file is one `Pack`: a kind, its sources, its entries.

The file's ``kind`` decides the entry model, so adding knowledge is adding one file.  All text is in our own
words; facts, codes, counts and cut-offs carry the key of a source listed at the head of the same file or in
``knowledge/sources.yaml``.
"""

from __future__ import annotations

from pixel_synth.knowledge.models.assessment import Band, Flag, Instrument, Interview, Item, Option, Scale
from pixel_synth.knowledge.models.disorder import (
    Chapter,
    Circumstance,
    CountRule,
    Criterion,
    Differential,
    Disorder,
    Formulation,
    Specifier,
    Thought,
)
from pixel_synth.knowledge.models.people import Behaviour, Culture, EdgeCase, LifeEvent, Occupation, Person, Population
from pixel_synth.knowledge.models.personality import (
    Attachment,
    Capacity,
    Defense,
    Experience,
    Facet,
    Organization,
    Pole,
    Profile,
    Syndrome,
    Trait,
    experiences,
)
from pixel_synth.knowledge.models.therapy import (
    Contraindication,
    CrisisProtocol,
    CrisisStep,
    EthicsRule,
    Helpline,
    Indication,
    Modality,
    RiskCue,
    Rupture,
    TherapistMove,
)
from pixel_synth.knowledge.pieces import Entry

KINDS: dict[str, type[Entry]] = {
    "disorder": Disorder,
    "circumstance": Circumstance,
    "attachment": Attachment,
    "defense": Defense,
    "organization": Organization,
    "syndrome": Syndrome,
    "capacity": Capacity,
    "experience": Experience,
    "trait": Trait,
    "facet": Facet,
    "profile": Profile,
    "modality": Modality,
    "instrument": Instrument,
    "interview": Interview,
    "ethics_rule": EthicsRule,
    "crisis_protocol": CrisisProtocol,
    "helpline": Helpline,
    "rupture": Rupture,
    "population": Population,
    "culture": Culture,
    "edge_case": EdgeCase,
    "behaviour": Behaviour,
    "life_event": LifeEvent,
    "occupation": Occupation,
    "person": Person,
}

__all__ = [
    "KINDS", "Attachment", "Band", "Behaviour", "Capacity", "Chapter", "Circumstance", "Contraindication", "CountRule",
    "CrisisProtocol", "CrisisStep",
    "Criterion", "Culture", "Defense", "Differential", "Disorder", "EdgeCase", "EthicsRule", "Experience", "Facet", "Flag",
    "Formulation", "Helpline", "Indication", "Instrument", "Interview", "Item", "LifeEvent", "Modality", "Occupation", "Option",
    "Organization", "Person", "Pole", "Population", "Profile", "RiskCue", "Rupture", "Scale", "Specifier", "Syndrome",
    "TherapistMove", "Thought", "Trait", "experiences",
]  # fmt: skip
