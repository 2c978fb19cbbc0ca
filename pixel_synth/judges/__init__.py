"""Judges: a model answers the questions of a rubric file about a finished session.

A rubric is ``prompts/judges/<name>.md`` (`rubric`); the frame that all share is the prompt ``judge``.  The schema of the verdict is made
from the rubric, every answer needs a quote of the right speaker that stands in the session (`verdict`, `quotes`), the session is data
whatever it says (`injection`), and what cannot be had is unscored with its reason (`session`).  A score of a judge stands beside the
others as ``judge.<name>``; how far it may be trusted is a matter of calibration against people.
"""

from pixel_synth.judges.names import own_judges, same_model, selfsame

__all__ = ["own_judges", "same_model", "selfsame"]
