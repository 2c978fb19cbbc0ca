"""The command line of ``pipelines/dataset.py``: recipe, dry run, run, resume, and what is shown after.

Exit status: 0 the dataset is whole and valid; 1 an error, or a rule that the validator found broken; 2 a wrong flag or setting; 3 fewer
records than wanted; 130 interrupted (``--resume`` goes on).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixel_synth.runs.job import ended

if TYPE_CHECKING:
    from pixel_synth.runs.assemble.assembly import Assembly


def parser(doc: str) -> argparse.ArgumentParser:
    """Return the argument parser; imports nothing heavy, so that ``--help`` answers at once."""
    p = argparse.ArgumentParser(
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="The recipe also comes from [dataset] in pixel.toml and PIXEL_DATASET_*, ratios and thresholds from the settings; flags "
        "win.  Exit status: 0 done, 1 error or a broken rule, 2 wrong flag, 3 shortfall, 130 interrupted.",
    )
    into = p.add_argument_group("what goes in")
    into.add_argument("--source", action="append", metavar="ID", help="a set of pixel-synth sources list; may be repeated")
    into.add_argument("--input", action="append", metavar="PATH", help="a run directory of pipelines/, a file of our records, or "
                      "CATEGORY:LICENCE=PATH for anything else; may be repeated")  # fmt: skip
    into.add_argument("--mirror", type=Path, metavar="DIR", help="read sets from DIR/OWNER/NAME in place of the Hub")
    into.add_argument("--cache", type=Path, metavar="DIR", help="where fetched sets lie (default .cache/sources)")
    into.add_argument("--profile", choices=("research", "commercial"), help="what the dataset may be used for (default research)")
    clean = p.add_argument_group("what stays")
    clean.add_argument("--language", action="append", metavar="CODE", help="languages that are kept (default en); may be repeated")
    clean.add_argument("--no-redact", action="store_true", help="leave personal data in; only for data that holds none")
    clean.add_argument("--names", metavar="MODEL", help="spaCy pipeline that finds names of people (extra: names)")
    clean.add_argument("--jaccard", type=float, metavar="J", help="least similarity of near duplicates (default 0.8)")
    clean.add_argument("--semantic", action="store_true", default=None, help="also drop duplicates in meaning (extra: semantic)")
    clean.add_argument("--evaluation", action="append", metavar="FILE", help="evaluation set whose text must not occur; may be repeated")
    clean.add_argument("--allow-uncalibrated", action="store_true", default=None, help="let thresholds count without a calibration card")
    mixing = p.add_argument_group("the mix")
    mixing.add_argument("--total", type=int, metavar="N", help="records of the mix (default 100000)")
    mixing.add_argument("--ratio", action="append", metavar="CATEGORY=SHARE", help="of a category, such as voice=0; those not named share "
                        "the rest; may be repeated")  # fmt: skip
    mixing.add_argument("--strategy", choices=("proportional", "quality", "diversity", "iterative", "hybrid"), help="default hybrid")
    mixing.add_argument("--when-short", choices=("report", "shrink"), help="a category has too few: report it and leave the gap "
                        "(default), or take the largest total that keeps the ratios exact")  # fmt: skip
    mixing.add_argument("--want", action="append", metavar="DIM=VALUE:SHARE", help="a share inside the mix, e.g. modality=cbt:0.3")
    mixing.add_argument("--least-quality", type=float, metavar="Q", help="floor of the overall score")
    mixing.add_argument("--unscored", action="store_true", default=None, help="let records in whose overall score could not be computed")
    mixing.add_argument("--seed", type=int, metavar="S", help="seed of every draw (default 7)")
    out = p.add_argument_group("what comes out")
    out.add_argument("--split", choices=("random", "stratified", "temporal"), help="how splits are dealt (default stratified)")
    out.add_argument("--order", choices=("shuffled", "curriculum"), help="order of the training split (default shuffled)")
    out.add_argument("--format", action="append", metavar="NAME", help="jsonl, json, csv, parquet, arrow, chat, packed; may be repeated "
                     "(default jsonl and parquet)")  # fmt: skip
    out.add_argument("--tokenizer", metavar="DIR", help="folder of a tokenizer that counts tokens; none = not counted")
    out.add_argument("--max-tokens", type=int, metavar="L", help="length of packed sequences (default 4096)")
    out.add_argument("--out", type=Path, metavar="DIR", help="where run directories are made (default runs)")
    how = p.add_argument_group("how")
    how.add_argument("--workers", type=int, metavar="W", help="processes (default: one per core, at most 8)")
    how.add_argument("--resume", type=Path, metavar="RUN", help="go on with a run that was stopped or killed")
    how.add_argument("--dry-run", action="store_true", help="say what would go in, and stop")
    return p


def main(doc: str, build: Callable[[Assembly], int], argv: Sequence[str] | None = None) -> int:
    """Make a dataset, or go on with one, and return the exit status."""
    args = parser(doc).parse_args(argv)
    return ended(lambda: _run(args, build), "finished stages and chunks are kept")


def flags(args: argparse.Namespace) -> dict[str, Any]:
    """Return what flags give, by the recipe's names; ``None`` where a flag was not given."""
    lists = {"source": "sources", "input": "inputs", "language": "languages", "evaluation": "evaluation", "format": "formats"}
    names = {"strategy": "mixing", "split": "splitting"}
    plain = (
        "names mirror cache profile jaccard semantic total least_quality unscored seed order tokenizer max_tokens out workers when_short"
    ).split()
    given: dict[str, Any] = {name: getattr(args, name) for name in plain}
    given |= {name: getattr(args, flag) for flag, name in names.items()}
    given |= {name: tuple(v) if (v := getattr(args, flag)) else None for flag, name in lists.items()}
    given["wanted"] = tuple(map(wanted, args.want)) if args.want else None
    given["redact"] = False if args.no_redact else None
    return given


def wanted(text: str) -> dict[str, Any]:
    """Read ``modality=cbt:0.3``.

    Raises:
        UsageError: When it is spelled otherwise.
    """
    from pixel_synth.errors import UsageError

    dimension, _, rest = text.partition("=")
    value, _, share = rest.rpartition(":")
    try:
        return {"dimension": dimension, "value": value, "share": float(share)}
    except ValueError as error:
        raise UsageError(f"--want {text!r} is not DIMENSION=VALUE:SHARE", hint="for example --want modality=cbt:0.3") from error


def _run(args: argparse.Namespace, build: Callable[[Assembly], int]) -> int:
    from pixel_synth.errors import RunError, UsageError
    from pixel_synth.mix.quota import asked
    from pixel_synth.recipe import RUNTIME_KEYS, Recipe, load_recipe
    from pixel_synth.runs.assemble.assembly import Assembly, fingerprint
    from pixel_synth.runs.assemble.preview import preview, ready
    from pixel_synth.runs.directory import Run, content_hash
    from pixel_synth.runs.screen import say
    from pixel_synth.settings import load_settings

    given = {name: value for name, value in flags(args).items() if value is not None}
    if args.resume:
        run = Run.open(args.resume)
        if "recipe" not in run.info:
            raise RunError(f"{run.path} is no dataset run", hint="python pipelines/psychology.py --resume goes on with a generating run")
        if fixed := sorted((given.keys() - RUNTIME_KEYS) | ({"ratio"} if args.ratio else set())):
            raise UsageError(
                f"{', '.join(fixed)} cannot change with --resume: a run keeps its recipe", hint="leave it out, or start a new run"
            )
        if run.info["content"] != content_hash():
            raise RunError(f"{run.path}: packs, prompts or the toolkit changed since this run began", hint="start a new run")
        recipe = Recipe(**{**run.info["recipe"], **given})
    else:
        recipe, ratios = load_recipe(**given), asked(args.ratio, load_settings().ratios) if args.ratio else None
        settings = load_settings(allow_uncalibrated=args.allow_uncalibrated, out=given.get("out"), ratios=ratios)
        if not (recipe.sources or recipe.inputs):
            raise UsageError("nothing goes in", hint="--input runs/psychology-001, --input FILE, or --source ID (pixel-synth sources list)")
    if args.dry_run:
        return preview(recipe, run.settings if args.resume else settings)
    ready(recipe)
    if not args.resume:
        run = Run.create(settings, "dataset", recipe=recipe.model_dump(mode="json"), fingerprint=fingerprint(settings, recipe))
    run.lock()
    try:
        run.update(recipe=recipe.model_dump(mode="json"))
        say(f"run directory {run.path} · seed {recipe.seed}")
        return build(Assembly(run, recipe))
    finally:
        run.unlock()
