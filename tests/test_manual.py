"""The manual's numbers from a second hand: written from DSM-5-TR apart from the packs, and held against them.

One line a disorder: minimum days, beginning of its ICD-10-CM codes, and further what is bounded: how many of how many (``counts``),
the longest duration, the youngest age, the onset limit, and another duration for children.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from pixel_synth.knowledge import Knowledge, load
from pixel_synth.knowledge.models import Disorder

DISORDERS = load().all(Disorder)


class Manual(NamedTuple):
    """What DSM-5-TR says (with the ICD-10-CM updates since); where its wording leaves two readings, both are listed."""

    days: tuple[int, ...]
    codes: str  # beginnings, separated by blanks
    counts: tuple[tuple[int, int], ...] = ()  # (of, at least)
    longest: tuple[int, ...] = ()
    min_age: int = 0
    onset_before: int | None = None
    child_days: int | None = None


def m(days: int | tuple[int, ...], codes: str, *counts: tuple[int, int], longest: int | tuple[int, ...] = (), **more: int) -> Manual:
    """Return a line of the table."""
    as_tuple = lambda value: (value,) if isinstance(value, int) else tuple(value)  # noqa: E731
    return Manual(as_tuple(days), codes, counts, as_tuple(longest), **more)


USE, TEN = (11, 2), (10, 2)
MANUAL: dict[str, Manual] = {
    # neurodevelopmental
    "intellectual_developmental_disorder": m(0, "F7"),
    "global_developmental_delay": m(0, "F88"),
    "language_disorder": m(0, "F80.2"),
    "speech_sound_disorder": m(0, "F80.0"),
    "childhood_onset_fluency_disorder": m(0, "F80.81", (7, 1)),
    "social_communication_disorder": m(0, "F80.82", (4, 4)),
    "autism_spectrum_disorder": m(0, "F84.0", (3, 3), (4, 2)),
    "attention_deficit_hyperactivity_disorder": m(180, "F90", (9, 5), onset_before=12),
    "specific_learning_disorder": m(180, "F81", (6, 1)),
    "developmental_coordination_disorder": m(0, "F82"),
    "stereotypic_movement_disorder": m(0, "F98.4"),
    "tourette_disorder": m((365, 366), "F95.2", onset_before=18),
    "persistent_tic_disorder": m((365, 366), "F95.1", onset_before=18),
    "provisional_tic_disorder": m(0, "F95.0", longest=(364, 365), onset_before=18),
    # schizophrenia spectrum
    "delusional_disorder": m(30, "F22"),
    "brief_psychotic_disorder": m(1, "F23", (4, 1), longest=(29, 30)),
    "schizophreniform_disorder": m(30, "F20.81", (5, 2), longest=(179, 180)),
    "schizophrenia": m(180, "F20.9", (5, 2)),
    "schizoaffective_disorder": m((0, 14, 30), "F25"),
    "substance_induced_psychotic_disorder": m(0, "F1", (2, 1)),
    "psychotic_disorder_due_to_medical_condition": m(0, "F06.0 F06.2", (2, 1)),
    "catatonic_disorder_due_to_medical_condition": m(0, "F06.1", (12, 3)),
    # bipolar
    "bipolar_i_disorder": m(7, "F31", (7, 3), (7, 4)),
    "bipolar_ii_disorder": m((4, 14), "F31.81", (7, 3), (7, 4), (9, 5)),
    "cyclothymic_disorder": m(730, "F34.0", child_days=365),
    "substance_induced_bipolar_disorder": m(0, "F1"),
    "bipolar_disorder_due_to_medical_condition": m(0, "F06.3"),
    # depressive
    "disruptive_mood_dysregulation_disorder": m(365, "F34.81", min_age=6, onset_before=10),
    "major_depressive_disorder": m(14, "F32 F33", (9, 5)),
    "persistent_depressive_disorder": m(730, "F34.1", (6, 2), child_days=365),
    "premenstrual_dysphoric_disorder": m(0, "F32.81", (4, 1), (7, 1), (11, 5)),
    "substance_induced_depressive_disorder": m(0, "F1"),
    "depressive_disorder_due_to_medical_condition": m(0, "F06.3"),
    # anxiety
    "separation_anxiety_disorder": m(180, "F93.0", (8, 3), child_days=28),
    "selective_mutism": m(30, "F94.0"),
    "specific_phobia": m(180, "F40.2"),
    "social_anxiety_disorder": m(180, "F40.10"),
    "panic_disorder": m(30, "F41.0", (13, 4), (2, 1)),
    "agoraphobia": m(180, "F40.00", (5, 2)),
    "generalized_anxiety_disorder": m(180, "F41.1", (6, 3)),
    "substance_induced_anxiety_disorder": m(0, "F1"),
    "anxiety_disorder_due_to_medical_condition": m(0, "F06.4"),
    # obsessive-compulsive
    "obsessive_compulsive_disorder": m(0, "F42"),
    "body_dysmorphic_disorder": m(0, "F45.22"),
    "hoarding_disorder": m(0, "F42.3"),
    "trichotillomania": m(0, "F63.3"),
    "excoriation_disorder": m(0, "F42.4"),
    "substance_induced_obsessive_compulsive_disorder": m(0, "F1"),
    "obsessive_compulsive_disorder_due_to_medical_condition": m(0, "F06.8"),
    # trauma
    "reactive_attachment_disorder": m(0, "F94.1", (2, 2), (3, 2), (3, 1), onset_before=5),
    "disinhibited_social_engagement_disorder": m(0, "F94.2", (4, 2), (3, 1)),
    "posttraumatic_stress_disorder": m(31, "F43.1", (5, 1), (2, 1), (7, 2), (6, 2), min_age=7),
    "posttraumatic_stress_disorder_young_children": m(31, "F43.1", (5, 1), (6, 1), (5, 2)),
    "acute_stress_disorder": m(3, "F43.0", (14, 9), longest=(30, 31)),
    "adjustment_disorder": m(0, "F43.2", (2, 1)),
    "prolonged_grief_disorder": m(365, "F43.81", (2, 1), (8, 3), child_days=180),
    # dissociative
    "dissociative_identity_disorder": m(0, "F44.81"),
    "dissociative_amnesia": m(0, "F44.0 F44.1"),
    "depersonalization_derealization_disorder": m(0, "F48.1", (2, 1)),
    # somatic
    "somatic_symptom_disorder": m((0, 180, 181), "F45.1", (3, 1)),
    "illness_anxiety_disorder": m(180, "F45.21", (2, 1)),
    "functional_neurological_symptom_disorder": m(0, "F44"),
    "psychological_factors_affecting_medical_conditions": m(0, "F54", (4, 1)),
    "factitious_disorder_imposed_on_self": m(0, "F68.10"),
    "factitious_disorder_imposed_on_another": m(0, "F68.A"),
    # eating
    "pica": m(30, "F98.3 F50.8", min_age=2),
    "rumination_disorder": m(30, "F98.21 F50.84"),
    "avoidant_restrictive_food_intake_disorder": m(0, "F50.82", (4, 1)),
    "anorexia_nervosa": m(0, "F50.0"),
    "bulimia_nervosa": m(90, "F50.2"),
    "binge_eating_disorder": m(90, "F50.81", (2, 2), (5, 3)),
    # elimination
    "enuresis": m((0, 90), "F98.0", min_age=5),
    "encopresis": m(90, "F98.1", min_age=4),
    # sleep
    "insomnia_disorder": m(90, "F51.01", (3, 1)),
    "hypersomnolence_disorder": m(90, "F51.11", (3, 1)),
    "narcolepsy": m(90, "G47.4", (3, 1)),
    "obstructive_sleep_apnea_hypopnea": m(0, "G47.33"),
    "central_sleep_apnea": m(0, "G47.3 R06.3"),
    "sleep_related_hypoventilation": m(0, "G47.3"),
    "circadian_rhythm_sleep_wake_disorders": m(0, "G47.2"),
    "nrem_sleep_arousal_disorders": m(0, "F51.3 F51.4"),
    "nightmare_disorder": m(0, "F51.5"),
    "rem_sleep_behavior_disorder": m(0, "G47.52"),
    "restless_legs_syndrome": m(90, "G25.81", (3, 3)),
    "substance_induced_sleep_disorder": m(0, "F1"),
    # sexual dysfunctions
    "delayed_ejaculation": m(180, "F52.32", (2, 1)),
    "erectile_disorder": m(180, "F52.21", (3, 1)),
    "female_orgasmic_disorder": m(180, "F52.31", (2, 1)),
    "female_sexual_interest_arousal_disorder": m(180, "F52.22", (6, 3)),
    "genito_pelvic_pain_penetration_disorder": m(180, "F52.6", (4, 1)),
    "male_hypoactive_sexual_desire_disorder": m(180, "F52.0"),
    "premature_ejaculation": m(180, "F52.4"),
    "substance_induced_sexual_dysfunction": m(0, "F1"),
    # gender dysphoria
    "gender_dysphoria_in_children": m(180, "F64.2", (8, 6)),
    "gender_dysphoria_in_adolescents_and_adults": m(180, "F64.0", (6, 2)),
    # disruptive
    "oppositional_defiant_disorder": m(180, "F91.3", (8, 4)),
    "intermittent_explosive_disorder": m((0, 90), "F63.81", (2, 1), min_age=6),
    "conduct_disorder": m((0, 365), "F91", (15, 3)),
    "pyromania": m(0, "F63.1"),
    "kleptomania": m(0, "F63.2"),
    # substance-related
    "alcohol_use_disorder": m(0, "F10", USE),
    "alcohol_intoxication": m(0, "F10", (6, 1)),
    "alcohol_withdrawal": m(0, "F10", (8, 2)),
    "caffeine_intoxication": m(0, "F15", (12, 5)),
    "caffeine_withdrawal": m(0, "F15", (5, 3)),
    "cannabis_use_disorder": m(0, "F12", USE),
    "cannabis_intoxication": m(0, "F12", (4, 2)),
    "cannabis_withdrawal": m(0, "F12", (7, 3)),
    "phencyclidine_use_disorder": m(0, "F16", TEN),
    "phencyclidine_intoxication": m(0, "F16", (8, 2)),
    "other_hallucinogen_use_disorder": m(0, "F16", TEN),
    "other_hallucinogen_intoxication": m(0, "F16", (7, 2)),
    "hallucinogen_persisting_perception_disorder": m(0, "F16.983"),
    "inhalant_use_disorder": m(0, "F18", TEN),
    "inhalant_intoxication": m(0, "F18", (13, 2)),
    "opioid_use_disorder": m(0, "F11", USE),
    "opioid_intoxication": m(0, "F11", (3, 1)),
    "opioid_withdrawal": m(0, "F11", (9, 3)),
    "sedative_hypnotic_anxiolytic_use_disorder": m(0, "F13", USE),
    "sedative_hypnotic_anxiolytic_intoxication": m(0, "F13", (6, 1)),
    "sedative_hypnotic_anxiolytic_withdrawal": m(0, "F13", (8, 2)),
    "stimulant_use_disorder": m(0, "F14 F15", USE),
    "stimulant_intoxication": m(0, "F14 F15", (9, 2)),
    "stimulant_withdrawal": m(0, "F14 F15", (5, 2)),
    "tobacco_use_disorder": m(0, "F17 Z72.0", USE),
    "tobacco_withdrawal": m(0, "F17", (7, 4)),
    "gambling_disorder": m((0, 365), "F63.0", (9, 4)),
    # neurocognitive
    "delirium": m(0, "F05 F1"),
    "major_neurocognitive_disorder": m(0, "F0"),
    "mild_neurocognitive_disorder": m(0, "G31.84 F06.7 F0"),
    "neurocognitive_disorder_alzheimers": m(0, "F02 F03 G30 G31.84 F06.7"),
    "neurocognitive_disorder_frontotemporal": m(0, "F02 F03 G31 F06.7"),
    "neurocognitive_disorder_lewy_bodies": m(0, "F02 F03 G31 F06.7"),
    "neurocognitive_disorder_vascular": m(0, "F01 F03 G31.84 F06.7 I67"),
    "neurocognitive_disorder_traumatic_brain_injury": m(0, "F02 S06 G31.84 F06.7"),
    "neurocognitive_disorder_substance_induced": m(0, "F1"),
    "neurocognitive_disorder_hiv": m(0, "F02 B20 G31.84 F06.7"),
    "neurocognitive_disorder_prion_disease": m(0, "F02 A81 G31.84 F06.7"),
    "neurocognitive_disorder_parkinsons": m(0, "F02 F03 G20 G31.84 F06.7"),
    "neurocognitive_disorder_huntingtons": m(0, "F02 G10 G31.84 F06.7"),
    "neurocognitive_disorder_due_to_medical_condition": m(0, "F02 G31.84 F06.7"),
    "neurocognitive_disorder_multiple_etiologies": m(0, "F02 F01 G31.84 F06.7"),
    # personality
    "paranoid_personality_disorder": m(0, "F60.0", (7, 4), child_days=365),
    "schizoid_personality_disorder": m(0, "F60.1", (7, 4), child_days=365),
    "schizotypal_personality_disorder": m(0, "F21", (9, 5), child_days=365),
    "antisocial_personality_disorder": m(0, "F60.2", (7, 3), min_age=18),
    "borderline_personality_disorder": m(0, "F60.3", (9, 5), child_days=365),
    "histrionic_personality_disorder": m(0, "F60.4", (8, 5), child_days=365),
    "narcissistic_personality_disorder": m(0, "F60.81", (9, 5), child_days=365),
    "avoidant_personality_disorder": m(0, "F60.6", (7, 4), child_days=365),
    "dependent_personality_disorder": m(0, "F60.7", (8, 5), child_days=365),
    "obsessive_compulsive_personality_disorder": m(0, "F60.5", (8, 4), child_days=365),
    "personality_change_due_to_medical_condition": m(0, "F07.0", child_days=365),
    # paraphilic
    "voyeuristic_disorder": m(180, "F65.3", min_age=18),
    "exhibitionistic_disorder": m(180, "F65.2"),
    "frotteuristic_disorder": m(180, "F65.81"),
    "sexual_masochism_disorder": m(180, "F65.51"),
    "sexual_sadism_disorder": m(180, "F65.52"),
    "pedophilic_disorder": m(180, "F65.4", min_age=16),
    "fetishistic_disorder": m(180, "F65.0"),
    "transvestic_disorder": m(180, "F65.1"),
    # other
    "other_mental_disorder_due_to_medical_condition": m(0, "F06.8 F09"),
}


def test_every_disorder_has_its_line() -> None:
    assert set(DISORDERS) <= set(MANUAL), "write the manual's numbers into MANUAL, looked up a second time"


@pytest.mark.parametrize("id", sorted(DISORDERS))
def test_durations_codes_ages_and_counts_are_those_of_the_manual(knowledge: Knowledge, id: str) -> None:
    topic, manual = knowledge.get(Disorder, id), MANUAL[id]
    assert topic.min_duration_days in manual.days
    assert topic.max_duration_days in (manual.longest or (None,))
    for code in (topic.icd10cm, *topic.icd10cm_by.values()):
        assert code.startswith(tuple(manual.codes.split())), code
    assert topic.min_age == manual.min_age
    assert topic.max_onset_age == manual.onset_before
    assert (topic.child_duration.days if topic.child_duration else None) == manual.child_days
    counts = {(len(r.of), r.at_least) for r in topic.rules}
    assert set(manual.counts) <= counts


@pytest.mark.parametrize("id", [d.id for d in DISORDERS.values() if d.severity_by_count or d.id.endswith("_use_disorder")])
def test_severities_that_the_manual_counts(knowledge: Knowledge, id: str) -> None:
    by = knowledge.get(Disorder, id).severity_by_count
    assert by
    if id.endswith("_use_disorder"):
        assert (by.mild, by.moderate, by.severe) == ((2, 3), (4, 5), (6, 10 if TEN in MANUAL[id].counts else 11))
    else:
        assert id == "gambling_disorder", "write down here what the manual counts"
        assert (by.mild, by.moderate, by.severe) == ((4, 5), (6, 7), (8, 9))
