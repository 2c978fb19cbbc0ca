"""How many records each category gets: whole numbers that keep the ratios and add up exactly.

The largest remainder method (Hamilton's, with the Hare quota; Balinski & Young, *Fair Representation*, 2nd ed., 2001, ch. 2): everyone
gets the whole part of its exact share, and what is left goes one each to the largest fractions.  No count is a whole record or more
away from its exact share.  Equal fractions go to the larger ratio, then in the order of the ratios.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from pixel_synth.errors import UsageError

K = TypeVar("K")


def largest_remainder(total: int, shares: Mapping[K, float]) -> dict[K, int]:
    """Return whole numbers in proportion to ``shares`` that sum to ``total``.

    Args:
        total: What is dealt out, 0 or more.
        shares: Any numbers of 0 or more, not all 0; only their proportions count.

    Raises:
        UsageError: When a share is negative, or none is above 0 while something is to be dealt out.
    """
    whole = sum(shares.values())
    if any(share < 0 for share in shares.values()) or (total and whole <= 0):
        raise UsageError(f"shares must be 0 or more and one of them above 0: {dict(shares)}")
    if not total:
        return dict.fromkeys(shares, 0)
    # Binary fractions: 0.3 * 10 must count as 3, so what is a hair from a whole number is that number.
    exact = {key: round(total * share / whole, 9) for key, share in shares.items()}
    counts = {key: int(value) for key, value in exact.items()}
    order = sorted(shares, key=lambda key: (counts[key] - exact[key], -shares[key]))
    for key in order[: total - sum(counts.values())]:
        counts[key] += 1
    return counts


def shrunk(total: int, ratios: Mapping[K, float], available: Mapping[K, int]) -> int:
    """Return the largest size, at most ``total``, whose counts every category can fill; 0 when a wanted one has no record at all."""
    wanted = [key for key, ratio in ratios.items() if ratio > 0]
    if any(not available.get(key) for key in wanted):
        return 0
    whole = sum(ratios.values())
    # A count lies less than one record from its exact share, so nothing larger can fit.
    size = min(total, *(int((available[key] + 1) * whole / ratios[key]) + 1 for key in wanted))
    while size and any(count > available.get(key, 0) for key, count in largest_remainder(size, ratios).items()):
        size -= 1
    return size


def asked(given: Sequence[str], ratios: Mapping[K, float]) -> dict[K, float]:
    """Return ratios with those of ``CATEGORY=SHARE`` set, the others sharing the rest in their proportions.

    Args:
        given: What ``--ratio`` was given, such as ``voice=0``.
        ratios: The ratios that hold without; they name the categories.

    Raises:
        UsageError: When a category does not exist, or the shares are no shares.
    """
    named: dict[str, float] = {}
    for text in given:
        name, _, share = text.partition("=")
        try:
            named[name] = float(share)
        except ValueError as error:
            raise UsageError(f"--ratio {text}: not CATEGORY=SHARE", hint="--ratio voice=0") from error
    if unknown := sorted(named.keys() - set(map(str, ratios))):
        raise UsageError(f"--ratio: no category {', '.join(unknown)}", hint=f"one of {', '.join(map(str, ratios))}")
    rest, whole = 1 - sum(named.values()), sum(ratio for key, ratio in ratios.items() if str(key) not in named)
    if not all(0 <= share <= 1 for share in named.values()) or rest < -1e-9 or (rest > 1e-9 and not whole):
        raise UsageError(f"--ratio: shares must be 0-1 and sum to 1, they sum to {sum(named.values()):.4g}")
    return {key: named[str(key)] if str(key) in named else max(0.0, rest) * ratio / whole for key, ratio in ratios.items()}
