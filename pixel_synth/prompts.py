"""Load, render and hash the prompt files of ``prompts/``.

A prompt is one Markdown file: YAML front matter (``name``, ``version``, ``variables``) and one Jinja section per chat role,
opened by ``## system`` or ``## user``.  Variables are strict both ways: a missing one and an unknown one are errors, and the body
may not use a variable the front matter does not declare.  The rubrics in ``judges/`` are no prompts (`pixel_synth.judges.rubric`).
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from pixel_synth.errors import PromptError
from pixel_synth.records import PromptRef
from pixel_synth.shipped import shipped

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

_SECTION = re.compile(r"^## (system|user)[ \t]*$", re.MULTILINE)


class Prompt(NamedTuple):
    """A parsed prompt: its reference, declared variables and one template per role."""

    ref: PromptRef
    variables: frozenset[str]
    sections: tuple[tuple[str, Template], ...]

    def render(self, **values: Any) -> list[dict[str, str]]:
        """Return chat messages.

        Raises:
            PromptError: When a declared variable is missing or an undeclared one is given.
        """
        if missing := self.variables - values.keys():
            raise PromptError(f"prompt {self.ref.name}: missing {', '.join(sorted(missing))}")
        if unknown := values.keys() - self.variables:
            raise PromptError(f"prompt {self.ref.name}: unknown {', '.join(sorted(unknown))}")
        from jinja2 import UndefinedError

        try:
            return [{"role": role, "content": template.render(values).strip()} for role, template in self.sections]
        except UndefinedError as error:
            raise PromptError(f"prompt {self.ref.name}: {error}") from error


@cache
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    return SandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)


def prompts_dir() -> Path:
    """Return ``PIXEL_PROMPTS_DIR``, the checkout's ``prompts/``, or the installed copy."""
    return shipped("prompts")


@cache
def load_prompt(name: str, folder: Path | None = None) -> Prompt:
    """Read and check one prompt file.

    Raises:
        PromptError: Naming the file and what is wrong with it.
    """
    path = (folder or prompts_dir()) / f"{name}.md"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.md")))
        raise PromptError(f"no prompt {name!r} in {path.parent}", hint=f"known: {known}")
    raw = path.read_text(encoding="utf-8")
    head, _, body = raw.removeprefix("---\n").partition("\n---\n")
    try:
        front = yaml.safe_load(head)
    except yaml.YAMLError as error:
        raise PromptError(f"{path}: front matter is not YAML: {error}") from error
    fine = isinstance(front, dict) and set(front) == {"name", "version", "variables"} and front["name"] == path.stem
    if not fine or not isinstance(front["variables"], list):
        raise PromptError(f"{path}: front matter must hold name (= file stem), version and variables")
    pieces = _SECTION.split(body)
    if len(pieces) < 3 or pieces[0].strip():
        raise PromptError(f"{path}: the body must consist of '## system' and '## user' sections")
    variables = frozenset(front["variables"])
    from jinja2 import TemplateSyntaxError, meta

    try:
        used = meta.find_undeclared_variables(_environment().parse(body))
        sections = tuple((role, _environment().from_string(text.strip())) for role, text in zip(pieces[1::2], pieces[2::2], strict=True))
    except TemplateSyntaxError as error:
        raise PromptError(f"{path}: {error.message} (line {error.lineno} of the body)") from error
    if used != variables:
        odd = ", ".join(sorted(used ^ variables))
        raise PromptError(f"{path}: variables declared and used differ: {odd}")
    digest = hashlib.sha256(raw.encode()).hexdigest()
    return Prompt(PromptRef(name=name, version=str(front["version"]), sha256=digest), variables, sections)


def all_prompts(folder: Path | None = None) -> list[Prompt]:
    """Load every prompt file of the folder."""
    return [load_prompt(path.stem, folder) for path in sorted((folder or prompts_dir()).glob("*.md"))]
