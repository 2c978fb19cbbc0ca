"""The audit trail of a run: ``audit.jsonl``, a chain (`pixel_synth.prove.chain`) of what was done to it.

One line is one event: a stage that ended, with the hashes of its files; a seal; a tag; a backup; a review.  What became of each record
stands in those files (kept, rejects), so that the chain stays short however many records there are.  `seal` puts the head of the chain
into ``manifest.json``; a head that somebody keeps outside the machine holds against the owner of the files as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pixel_synth.errors import RunError
from pixel_synth.jsonl import sha256_of, whole
from pixel_synth.prove.chain import Chain, Entry, Head, Verified, hash_of, verify

NAME = "audit.jsonl"
HEAD = "audit_head"  # key of manifest.json


class Audit(Chain):
    """The audit trail of a run directory.

    Args:
        run: The run directory.
        actor: See `Chain`.
    """

    def __init__(self, run: Path, actor: str = "") -> None:
        super().__init__(run / NAME, actor)
        self.run = run

    def stage(self, name: str, place: Path | None = None, also: Iterable[Path] = ()) -> Entry:
        """Chain a finished stage with the hashes of its files; the line is there already when nothing changed since.

        Args:
            name: Its folder below ``stages/``.
            place: Where its files lie, when not in that folder.
            also: Files that it wrote elsewhere (``private/``); they are hashed here.

        Raises:
            RunError: When the stage has not ended.
        """
        folder = self.run / "stages" / name
        told = read_json(folder / "stage.json")
        base = (place or folder).relative_to(self.run)
        files = {(base / file).as_posix(): digest for file, digest in told["outputs"].items()}
        files |= {path.relative_to(self.run).as_posix(): sha256_of(path) for path in also}
        details = {"key": told["key"], "books": told["books"], "files": files}
        last = None
        for entry in self.entries():
            last = entry if (entry.action, entry.subject) == ("stage", name) else last
        return last if last and last.details == details else self.append("stage", name, **details)

    def seal(self) -> Head:
        """Chain the hash of ``manifest.json``'s list of files and write the head of the trail into the manifest.

        Raises:
            RunError: When there is no manifest.
        """
        path = self.run / "manifest.json"
        manifest = read_json(path)
        sealed = self.append("seal", "manifest.json", files=len(manifest["files"]), sha256=hash_of(manifest["files"]))
        head = Head(sealed.n, sealed.hash)
        with whole(path) as file:
            json.dump({**manifest, HEAD: str(head)}, file, indent=2)
            file.write("\n")
        return head


def verify_run(run: Path, kept: Iterable[Head] = ()) -> Verified:
    """Check the trail of a run, also against the head in its manifest.

    Raises:
        RunError: When it has none.
    """
    path, heads = run / NAME, list(kept)
    manifest = read_json(run / "manifest.json") if (run / "manifest.json").is_file() else {}
    sealed = manifest.get(HEAD)
    if sealed:
        heads.append(Head.read(str(sealed)))
    if not path.is_file() and not heads:
        raise RunError(f"{run} has no {NAME}", hint="it was made before there were audit trails, or is no run directory")
    found = verify(path, heads)
    notes = found.notes if sealed else (*found.notes, "no head in manifest.json: whether the end was cut off cannot be told")
    return found._replace(notes=notes)


def changed_files(run: Path) -> list[str]:
    """Return the files that are not, or no longer, as the last line about them says; the list of the manifest counts as one of them.

    What a later run of the same stage replaced is compared with that later line.
    """
    wanted, sealed = dict[str, str](), ""
    for entry in Audit(run).entries():
        if entry.action == "stage":
            wanted |= entry.details["files"]
        elif entry.action == "seal":
            sealed = entry.details["sha256"]
    path = run / "manifest.json"
    listed = read_json(path).get("files", {}) if path.is_file() else {}
    if sealed and hash_of(listed) == sealed:
        wanted |= {name: pin["sha256"] for name, pin in listed.items()}
    found = [name for name, digest in wanted.items() if not (run / name).is_file() or sha256_of(run / name) != digest]
    return [*(["manifest.json"] if sealed and hash_of(listed) != sealed else []), *found]


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of a run.

    Raises:
        RunError: When it is not there or damaged.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}", hint="the run has not ended, or is no run directory") from error
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}", hint="restore it from a backup") from error
    return found
