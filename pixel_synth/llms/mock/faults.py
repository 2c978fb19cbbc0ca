"""Faults on purpose: which request fails, in which way, and how often.

Every kind has a share of its own.  Whether it strikes a request is decided by a hash of the request and the kind, so that
the same requests fail in every run; a request struck by several kinds meets them one after the other.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

KINDS = {
    "400": "bad request, at every try",
    "429": "too many requests, with Retry-After",
    "500": "server error",
    "503": "not available",
    "drop": "the connection is closed without an answer",
    "hang": "never answered",
    "slow": "20 times as slow, or --slow-s seconds later",
    "garbage": "status 200 with a body that is no JSON",
    "truncate": "text cut in the middle, finish_reason length",
    "cut": "text cut in the middle, finish_reason stop all the same",
    "violate": "valid JSON that breaks the schema",
    "prose": "the schema is ignored",
    "empty": "no text",
    "null": "content null",
    "refuse": "message.refusal, finish_reason content_filter",
}
NEED_SCHEMA = {"violate", "prose"}


class Burst(NamedTuple):
    """All requests in the last ``seconds`` of every ``every`` seconds fail in one way."""

    seconds: float
    kind: str
    every: float


def parse_fault(text: str) -> tuple[str, float]:
    """Read ``KIND=SHARE``.

    Raises:
        ValueError: When it is not of that form.
    """
    kind, _, share = text.partition("=")
    return known(kind), fraction(kind, share or 1.0)


def parse_burst(text: str) -> Burst:
    """Read ``SECONDS:KIND`` or ``SECONDS:KIND:EVERY`` (every 10 seconds where nothing is said).

    Raises:
        ValueError: When it is not of that form.
    """
    try:
        seconds, kind, *every = text.split(":")
        burst = Burst(float(seconds), kind, float(every[0]) if every else 10.0)
    except (ValueError, IndexError):
        raise ValueError(f"{text!r} is not SECONDS:KIND or SECONDS:KIND:EVERY, as in 2:429:10") from None
    known(kind)
    if not 0 < burst.seconds <= burst.every:
        raise ValueError(f"{text!r}: a burst is longer than 0 and not longer than its period of {burst.every} s")
    return burst


def known(kind: str) -> str:
    """Return a fault kind that exists.

    Raises:
        ValueError: When it does not; the message lists those that do.
    """
    if kind not in KINDS:
        raise ValueError(f"no fault {kind!r}; there are {', '.join(KINDS)}")
    return kind


def fraction(kind: str, share: object) -> float:
    """Return a share in 0–1.

    Raises:
        ValueError: When it is none.
    """
    if isinstance(share, (int, float, str)):
        try:
            value = float(share)
        except ValueError:
            value = -1.0
        if 0.0 <= value <= 1.0:
            return value
    raise ValueError(f"{kind}: a share lies between 0 and 1, got {share!r}")


class Faults:
    """Decides over every request.

    Args:
        shares: Share of the requests that each kind strikes, 0–1.
        tries: How many tries of a struck request fail in each of its ways; -1 for all.
        spare: How many requests are let through at the start.
        bursts: Times at which every request fails.
    """

    def __init__(self, shares: Mapping[str, object], tries: int = 1, spare: int = 0, bursts: tuple[Burst, ...] = ()) -> None:
        self.tries, self.spare, self.bursts = tries, spare, bursts
        self.set(shares)

    def set(self, shares: Mapping[str, object]) -> None:
        """Replace all shares, and forget which tries have failed.

        Raises:
            ValueError: When a kind or a share is none; nothing has changed then.
        """
        self.shares = {known(kind): fraction(kind, share) for kind, share in shares.items()}
        self._failed: Counter[bytes] = Counter()

    def pick(self, key: bytes, *, constrained: bool, age_s: float) -> str | None:
        """Return the fault that this try of a request meets, or ``None``.

        Args:
            key: Hash of the request.
            constrained: Whether it asks for a schema; some faults need one.
            age_s: Seconds since the server became ready, for the bursts.
        """
        if self.spare > 0:
            self.spare -= 1
            return None
        for burst in self.bursts:
            if age_s % burst.every >= burst.every - burst.seconds:
                return burst.kind
        struck = [k for k, share in self.shares.items() if draw(key, k) < share and (constrained or k not in NEED_SCHEMA)]
        if "400" in struck:
            return "400"
        done = self._failed[key]
        if not struck or (self.tries >= 0 and done >= self.tries * len(struck)):
            return None
        self._failed[key] += 1
        return struck[done % len(struck) if self.tries < 0 else done // self.tries]


def draw(key: bytes, kind: str) -> float:
    """Return a number in 0–1 that depends on the request and the kind alone."""
    digest = hashlib.blake2b(key + kind.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
