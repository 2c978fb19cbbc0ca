"""What lies around the records: manifest, books of the stages, private files, licences."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from pixel_synth.books import Books
from pixel_synth.jsonl import lines_of, sha256_of
from pixel_synth.prove.rules.rule import About, Check, Faults, Place, Rule, answer, unjudged
from pixel_synth.records import Conversation
from pixel_synth.sources.licence import forbidden, terms


class Manifest(Check):
    """Every file of the manifest is there with its hash, and everything in ``data/`` is in the manifest."""

    def rules(self) -> Iterator[Rule]:
        """Hash every file that the manifest names."""
        home, faults = self.about.target.home, Faults()
        path = home / "manifest.json"
        if not path.is_file():
            yield unjudged("integrity.manifest", "not applicable: there is no manifest.json")
            return
        try:
            files: dict[str, Any] = dict(json.loads(path.read_text(encoding="utf-8"))["files"])
        except (ValueError, KeyError, TypeError) as error:
            yield Rule(
                id="integrity.manifest",
                passed=False,
                expected="a manifest",
                found="damaged",
                why=f"{path.name}: {error}",
                todo="restore it from a copy, or make the dataset again",
                where=(path.name,),
            )
            return
        for name, entry in files.items():
            file = home / name
            if not file.resolve().is_relative_to(home.resolve()):
                faults.add(f"{name}: points out of the folder")
            elif not file.is_file():
                faults.add(f"{name}: missing")
            elif not isinstance(entry, dict) or sha256_of(file) != entry.get("sha256"):
                faults.add(f"{name}: changed since the manifest was written")
        for file in sorted((home / "data").rglob("*")) if (home / "data").is_dir() else ():
            if file.is_file() and not file.name.startswith(".") and file.relative_to(home).as_posix() not in files:
                faults.add(f"{file.relative_to(home).as_posix()}: not in the manifest")
        todo = "restore them from a backup, or make the dataset again"
        yield faults.rule("integrity.manifest", f"{len(files):,} files as they were written", "files differ", todo)


class StageBooks(Check):
    """What one stage kept is what the next took in, and its files have as many lines as its books say."""

    def rules(self) -> Iterator[Rule]:
        """Read ``stages/*/stage.json`` in order."""
        home, faults = self.about.target.home, Faults()
        found = sorted((home / "stages").glob("*/stage.json"))
        if not found:
            yield unjudged("books.stages", "not applicable: there are no stages")
            return
        before: tuple[str, Books] | None = None
        for path in found:
            name = path.parent.name
            try:
                books = Books.model_validate(json.loads(path.read_text(encoding="utf-8"))["books"])
            except (ValidationError, ValueError, KeyError, TypeError) as error:
                faults.add(f"stages/{name}/stage.json: {str(error).splitlines()[0]}")
                before = None
                continue
            if before and books.taken != before[1].kept:
                faults.add(f"stages/{name} took {books.taken:,}, but stages/{before[0]} kept {before[1].kept:,}")
            for file, told in (("kept.jsonl", books.kept), ("rejects.jsonl", books.rejected + books.failed)):
                if (path.parent / file).is_file() and (lines := lines_of(path.parent / file)) != told:
                    faults.add(f"stages/{name}/{file} has {lines:,} lines, its books say {told:,}")
            before = name, books
        todo = "something was lost or added between the stages: run the pipeline again with --resume"
        yield faults.rule("books.stages", f"{len(found)} stages add up", "counts do not add up", todo)


class PrivateFiles(Check):
    """The reversible audit of redaction is readable by its owner alone, and no copy of it is among what is handed out."""

    def rules(self) -> Iterator[Rule]:
        """Compare ``private/`` with ``data/`` and the manifest."""
        home, faults = self.about.target.home, Faults()
        private = [p for p in sorted((home / "private").rglob("*")) if p.is_file()]
        if not private:
            yield unjudged("private.files", "not applicable: there is nothing private here")
            return
        hashes = {sha256_of(p): p.name for p in private if p.stat().st_size}
        for path in private:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                faults.add(f"private/{path.name}: others can read it (mode {mode:o})")
        sizes = {p.stat().st_size for p in private}
        for path in sorted((home / "data").rglob("*")):
            if path.is_file() and path.stat().st_size in sizes and (name := hashes.get(sha256_of(path))):
                faults.add(f"data/{path.name} is a copy of private/{name}")
        manifest = home / "manifest.json"
        if manifest.is_file() and '"private/' in manifest.read_text(encoding="utf-8"):
            faults.add("manifest.json names files of private/")
        yield faults.rule(
            "private.files",
            f"{len(private)} files, mode 600, nowhere else",
            "files are not kept private",
            "chmod 600 private/*; take the copies out of data/",
        )


class Licences(Check):
    """No record stands under a licence that the profile forbids; what binds a publication is told."""

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.pairs: set[tuple[str, str]] = set()

    def see(self, c: Conversation, at: Place) -> None:
        """Remember source and licence."""
        self.pairs.add((c.provenance.source, c.provenance.license))

    def rules(self) -> Iterator[Rule]:
        """Answer for the profile, and tell what stands against publishing."""
        if self.about.recipe is None:
            yield unjudged("licence.profile", "not applicable: no recipe names a use profile")
        else:
            wrong, todo = forbidden(self.pairs, self.about.recipe.profile), "leave the sources out, or change the profile"
            expected, found = f"all may be used: {self.about.recipe.profile}", f"{len(self.pairs)} sources"
            yield answer("licence.profile", not wrong, expected, found, f"{len(wrong)} sources may not", todo, wrong)
        id, expected, problems = "licence.publishing", "may be given to others", terms(self.pairs).problems
        if problems:
            yield unjudged(id, f"not judged, a person has to: {'; '.join(problems)}", expected)
        else:
            yield answer(id, True, expected, f"{len(self.pairs)} sources", "", "")
