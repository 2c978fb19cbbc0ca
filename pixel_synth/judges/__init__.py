"""Judges: a model answers the questions of a rubric file about a finished session.

A rubric is ``prompts/judges/<name>.md``: a prompt whose front matter also holds ``criteria`` (id → yes/no question).  The schema
of the verdict is made from them, every answer needs a quote that stands in the session, and what cannot be had is unscored with
its reason.  No rubric here is calibrated against people yet, so none gates; the score stands beside the others as ``judge.<name>``.
"""
