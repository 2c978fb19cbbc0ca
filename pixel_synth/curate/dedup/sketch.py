"""What de-duplication keeps of a record while it reads: facts, keys, MinHash bands and shingles, a few hundred bytes in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pydantic import ValidationError

from pixel_synth.curate.dedup.shingle import Hashes, Offsets, mix, shingled
from pixel_synth.jsonl import MAX_LINE_BYTES
from pixel_synth.records import Conversation

ROWS, BANDS = 4, 32  # 128 hash functions; see `bands`
ENDS = tuple(".!?…:)]\"'”’»*")
LONG = 20  # words from which a message that two records share makes them a family


class Facts(NamedTuple):
    """What the choice of a keeper goes by.

    ``faults`` counts what copying did to the writing, see `faults`; ``overall`` is on the human scale where there is one, ``None`` when
    unscored.
    """

    id: str
    source: str
    license: str
    ingested: bool
    accepted: bool | None
    faults: int
    overall: float | None


class Bad(NamedTuple):
    """A line that is no record: which of the batch, why, and its beginning."""

    at: int
    error: str
    text: str


class Sketch(NamedTuple):
    """A batch of lines; the arrays are of its ``good`` records, in order, and so is ``facts``.

    ``keys`` (records × 2) are equal exactly for records of the same words and roles, ``line`` hashes the bytes.  ``bands`` is
    records × `BANDS`.  ``said`` holds the keys of long messages and ``said_by`` the record of each.
    """

    good: Offsets
    facts: list[Facts]
    bad: list[Bad]
    words: Offsets
    keys: Hashes
    line: Hashes
    bands: Hashes
    hashes: Hashes
    offsets: Offsets
    said: Hashes
    said_by: Offsets


def parts(c: Conversation) -> list[str]:
    """Return the texts of a record that a model learns from; the system prompt, which many share, is not among them."""
    spoken = [m.content for m in c.messages if m.role != "system"]
    return [*spoken, *(m.content for m in c.dispreferred), *([c.thought] if c.thought else ())]


def faults(spoken: str) -> int:
    """Return how many of three marks of a worn copy a text bears: no capitals, blanks before its signs ("so , yes"), no sign at its end."""
    signs = sum(map(spoken.count, ",.?!"))
    apart = sum(map(spoken.count, (" ,", " .", " ?", " !")))
    return spoken.islower() + (apart > signs / 2) + (not spoken.rstrip().endswith(ENDS))


def facts(c: Conversation) -> Facts:
    """Return what the choice of a keeper goes by."""
    overall = c.score("overall")
    value = None if overall is None else overall.value if overall.calibrated is None else overall.calibrated
    p, spoken = c.provenance, "\n".join(m.content for m in c.messages if m.role != "system")
    accepted = c.verdict.accepted if c.verdict else None
    return Facts(c.id, p.source, p.license, p.source != "generated", accepted, faults(spoken), value)


def bands(hashes: Hashes, offsets: Offsets, seed: int) -> Hashes:
    """Return the MinHash bands of sets of shingles, records × `BANDS`; two records that share one are a candidate pair.

    With ``BANDS`` bands of ``ROWS`` values a pair of Jaccard similarity s becomes one with 1 - (1 - s^4)^32 (Broder, 1997; Leskovec,
    Rajaraman & Ullman, Mining of Massive Datasets, 3.4): 0.9999999 at 0.8, 0.988 at 0.6, 0.87 at 0.5, 0.05 at 0.2.
    """
    from rensa import RMinHash

    if not len(offsets) - 1:
        return np.empty((0, BANDS), dtype=np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets.astype(np.uint64), ROWS * BANDS, seed)
    values = np.array(matrix.to_rows(), dtype=np.uint64).reshape(-1, BANDS, ROWS)
    high, low = values[:, :, 0] << np.uint64(32) | values[:, :, 1], values[:, :, 2] << np.uint64(32) | values[:, :, 3]
    return mix(mix(high) + low)


def _digest(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


def sketch(lines: Sequence[bytes], seed: int) -> Sketch:
    """Read a batch of lines (without empty ones) and return what is kept of them."""
    records, good, bad = [], [], []
    for at, line in enumerate(lines):
        if len(line) > MAX_LINE_BYTES:
            bad.append(Bad(at, f"line is longer than {MAX_LINE_BYTES >> 20} MiB", line[:2000].decode(errors="replace")))
            continue
        try:
            records.append(Conversation.model_validate_json(line))
            good.append(at)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(k) for k in first["loc"])
            bad.append(Bad(at, f"{key + ': ' if key else ''}{first['msg']}", line[:2000].decode(errors="replace").rstrip("\n")))
    texts = [parts(c) for c in records]
    s = shingled(texts)
    who = [_digest("".join(m.role[0] for m in c.messages if m.role != "system").encode()) for c in records]
    empty = [0 if n else _digest("\x1f".join(text).encode()) for n, text in zip(s.words.tolist(), texts, strict=True)]
    roles = mix(np.array(who, dtype=np.uint64) + np.array(empty, dtype=np.uint64))
    owner = np.repeat(np.arange(len(texts)), [len(t) for t in texts])
    long = s.part_words >= LONG
    return Sketch(
        good=np.array(good, dtype=np.int64), facts=[facts(c) for c in records], bad=bad, words=s.words, keys=s.keys ^ roles[:, None],
        line=np.array([_digest(lines[at]) for at in good], dtype=np.uint64), bands=bands(s.hashes, s.offsets, seed),
        hashes=s.hashes, offsets=s.offsets, said=s.part_keys[long], said_by=owner[long],
    )  # fmt: skip
