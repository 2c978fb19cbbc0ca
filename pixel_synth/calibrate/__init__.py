"""Calibration: how far a score may be trusted, found by holding it against what people said.

Labels of people (`labels`) and the scores of a judge or scorer for the same conversations go in; agreement with bootstrap
intervals (`agreement`), the people's own agreement beside it, a monotone map to the human scale and the threshold for a
wanted precision (`fit`) come out, and are kept as a card (`card`) under ``calibration/cards``.  The gate trusts no number without a card.
"""
