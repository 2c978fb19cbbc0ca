"""Wording to type: what kind of criterion a passage is, what an exclusion excludes, and codes."""

from __future__ import annotations

import re
from typing import Literal

from pixel_synth.knowledge.parse.wording import duration, onset_age, youngest_age

CriterionKind = Literal["symptom", "exposure", "duration", "impairment", "exclusion", "age", "course"]
CODE = re.compile(r"(?<![\w.])([A-Z]\d[0-9A-Z](?:\.[0-9A-Z]{1,4})?)(?![\w.]*\d|\w)")

_EXCLUSION = (
    r"\bnot\b[^.;]{0,40}\b(?:explained|attributable|accounted|due to|a result|the result|caused|a consequence|"
    r"exclusively|symptomatic|a manifestation|merely|part of|secondary)\b|\bcannot be (?:explained|attributed)|\b(?:has|have) never been\b|"
    r"\bnever (?:met|been met)\b|\b(?:criteria|requirements) (?:are|were|have been|for [^.;]*) not (?:been )?(?:met|fulfilled)\b|"
    r"\bruled? out\b|\bdoes not (?:meet|fulfil)|\bin the absence of\b|\bthere has (?:been no|never been)\b"
)
_IMPAIRMENT = (
    r"\b(?:distress|suffering) (?:or|and) impair|\bimpair(?:s|ed|ment)?\b[^.;]{0,60}\b(?:functioning|areas|life|work|school|social)|"
    r"\binterfer(?:es?|ing) with\b[^.;]{0,60}\b(?:functioning|life|work|school|relationships|activities)|"
    r"\bclinically significant distress\b"
)
_LASTING = r"\b(?:duration|last(?:s|ed|ing)?|persist(?:s|ed|ing|ent)?|present|continue[sd]?|going on|endure[sd]?)\b"
_EXPOSURE = (
    r"\bexpos(?:ed|ure)\b|\btraumatic\b|\bstressors?\b|\bwitness|\b(?:death|loss) of (?:a|someone|somebody) (?:close|person)|"
    r"\bdied\b|\bundergone\b|\bexperienced? (?:an?|the) [^.;]{0,40}\bevents?\b"
)
_COURSE = (
    r"\b(?:in|into|full|partial) remission\b|"
    r"\b(?:once|twice|(?:\w+) (?:times|nights|days))(?: or more)? (?:a|per|each) (?:day|week|month|year)\b|"
    r"\bepisodes? (?:alternate|recur|return)|\bcourse\b|\bbeg(?:i|a)ns? within\b|\bonset\b|"
    r"\bnever (?:been )?without\b|\boccurs? (?:only )?(?:before|after|during)\b"
)

# Circumstance ids (knowledge/dsm5/circumstances.yaml) by the wording that names them.
CIRCUMSTANCES: tuple[tuple[str, str], ...] = (
    ("substance", r"\bsubstances?\b|\bmedications?\b|\bdrugs?\b|\bintoxication\b|\btoxins?\b"),
    ("medical_condition", r"\b(?:another|other|general|a|any) medical (?:condition|illness|disease)s?\b|\bbodily illness\b"),
    ("manic_episode", r"(?<!hypo)(?<!hypo-)\bmanic(?:[ ,/]+(?:or|and)? ?\w+)? episodes?\b"),
    ("hypomanic_episode", r"\bhypo-?manic(?: episodes?)?\b"),
    ("major_depressive_episode", r"\bmajor depressive episodes?\b"),
    ("other_psychotic_disorder", r"\bpsychotic disorders?\b|\bschizo\w+\b|\bdelusional disorder\b"),
    ("psychotic_symptoms", r"\b(?:delusions|hallucinations)\b|\bpsychotic symptoms\b"),
    ("only_during_delirium", r"\bdelirium\b"),
    ("neurocognitive_decline", r"\bneurocognitive\b|\bdementia\b"),
    ("intellectual_disability", r"\bintellectual (?:disability|developmental)\b|\bglobal developmental delay\b"),
    ("developmental_stage", r"\bdevelopmental (?:stage|level|period)\b|\bdevelopmentally (?:appropriate|normal|expected)\b"),
    ("sensory_or_motor_deficit", r"\b(?:sensory|visual|hearing|auditory|motor) (?:\w+ )?(?:deficit|impairment|acuity)s?\b"),
    ("neurological_condition", r"\bneurological (?:condition|disease|disorder|deficit)s?\b"),
    ("lack_of_schooling_or_language", r"\b(?:schooling|instruction|proficiency in)\b"),
    ("cultural_or_religious_practice", r"\b(?:cultur\w+[^.;]{0,40}|religious) practices?\b|\bculturally (?:accepted|sanctioned)\b"),
    ("expected_grief", r"\b(?:normal|expected|expectable) (?:bereavement|grief)\b"),
    ("bereavement", r"(?<!normal )(?<!expected )(?<!expectable )\bbereavement\b"),
    ("other_mental_disorder", r"\b(?:another|other|any other) mental (?:or \w+ )?disorders?\b|\banother disorder\b"),
    ("relationship_distress", r"\b(?:relationship|marital|partner) (?:distress|discord|violence)\b"),
    ("little_chance_to_sleep", r"\bopportunity (?:for|to) sleep\b"),
    ("food_not_available", r"\b(?:lack of|no|unavailab\w+) (?:available )?food\b"),
    ("body_image_disturbance", r"\bbody (?:weight|shape|image)\b"),
    ("recurrent_compensation", r"\bcompensatory behaviou?rs?\b"),
    ("during_anorexia", r"\banorexia nervosa\b"),
    ("external_reward", r"\bexternal (?:rewards?|incentives?)\b"),
    ("financial_or_political_motive", r"\b(?:monetary|financial) gain\b"),
    ("hospitalization", r"\bhospitali[sz]ation\b"),
)  # fmt: skip


def _says(pattern: str, text: str) -> bool:
    return bool(re.search(pattern, text, re.IGNORECASE))


def kind(text: str) -> CriterionKind:
    """Return the kind of a criterion by its wording; ``symptom`` where nothing says otherwise."""
    if _says(_EXCLUSION, text):
        return "exclusion"
    if _says(_IMPAIRMENT, text):
        return "impairment"
    if onset_age(text) is not None or youngest_age(text) is not None:
        return "age"
    if _says(_EXPOSURE, text):
        return "exposure"
    if _says(_COURSE, text) and duration(text).least is None:
        return "course"
    set_ = duration(text)
    if _says(_LASTING, text) and (set_.least is not None or set_.most is not None):
        return "duration"
    return "course" if _says(_COURSE, text) else "symptom"


def unless(text: str) -> tuple[str, ...]:
    """Return the ids of the circumstances that an exclusion names, in the order of the table; "another" disorders included."""
    return tuple(id for id, pattern in CIRCUMSTANCES if _says(pattern, text))


def codes(text: str) -> tuple[str, ...]:
    """Return the ICD-10-CM codes in a heading or a label, in order; older numeric codes are passed over."""
    return tuple(dict.fromkeys(CODE.findall(text)))


def without_codes(text: str) -> str:
    """Return a heading without its codes: "Name 300.02 (F41.1)" is "Name"."""
    text = CODE.sub("", re.sub(r"(?<![\w.])[V\d]\d{2}\.\d{1,2}(?![\w.])", "", text))
    text = re.sub(r"\bICD-?10(?:-CM)?\b:?|\(\s*[,;/]*\s*\)|\[\s*\]", "", text)
    return re.sub(r"\s{2,}", " ", text).strip(" \t,;:–—-")
