"""Choose the records of the dataset, put them into their order, link them, and lay aside what stands outside the ratios."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pixel_synth.books import Reject
from pixel_synth.curate.link import link
from pixel_synth.curate.order import order, rise
from pixel_synth.jsonl import whole
from pixel_synth.mix.choosing import mix
from pixel_synth.mix.eligible import AUXILIARY, CLIENT_LINES
from pixel_synth.mix.files import Lines
from pixel_synth.mix.item import Item
from pixel_synth.mix.mixture import Mixture
from pixel_synth.publish.chat_template import Template
from pixel_synth.runs.assemble.assembly import Assembly, Result, parts
from pixel_synth.sources.licence import forbidden


def blend(assembly: Assembly, folder: Path) -> Result:
    """Mix what passed the gate."""
    recipe = assembly.recipe
    with Lines([assembly.folder("04-score") / "kept.jsonl"]) as lines:
        items = lines.items()
        found = mix(
            items, recipe, assembly.settings.ratios, lines.text, when_short=recipe.when_short,
            refuse=lambda pairs: forbidden(pairs, recipe.profile),
        )  # fmt: skip
        if recipe.tokenizer:
            found = counted(found, lines, Template(Path(recipe.tokenizer)))
        ordered = order(found.chosen, recipe.order, recipe.seed)
        lines.copy(ordered, folder / "unlinked.jsonl")
        for name, why in (("auxiliary", AUXILIARY), ("client_lines", CLIENT_LINES)):
            lines.copy((item for item, reason in found.left if reason == why), folder / f"{name}.jsonl")
    with whole(folder / "rejects.jsonl") as file:
        for item, reason in found.left:
            file.write(Reject(stage="mix", reason=reason, id=item.id).line() + "\n")
    linked = link([folder / "unlinked.jsonl"], folder / "kept.jsonl")
    (folder / "unlinked.jsonl").unlink()
    report = {
        **found.as_dict(),
        "short": found.short,
        "order": recipe.order,
        "rise": rise(ordered).model_dump(),
        "links": linked.model_dump(),
    }
    with whole(folder / "mix.json") as file:
        json.dump(report, file, indent=1)
    return found.books, report


def counted(found: Mixture, lines: Lines, template: Template) -> Mixture:
    """Return the mixture with the tokens of each category: those of its words, without the marks of a chat template."""
    tokens: Counter[str] = Counter()
    for batch in batched(found.chosen):
        for item, n in zip(batch, template.tokens([lines.text(item) for item in batch]), strict=True):
            tokens[item.category] += n
    return found._replace(quotas=tuple(q._replace(tokens=tokens[q.category]) for q in found.quotas))


def batched(items: Sequence[Item], size: int = 64) -> Iterator[Sequence[Item]]:
    """Yield the items in batches."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def decides(assembly: Assembly) -> dict[str, Any]:
    """Return what the mix depends on besides the records."""
    names = "tokenizer total mixing tolerance wanted least_quality unscored seed order when_short profile".split()
    return {**parts(assembly.recipe, *names), "ratios": dict(assembly.settings.ratios)}
