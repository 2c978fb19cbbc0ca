"""Sends a planned dataset to the Hugging Face Hub as one version, goes on where an earlier try broke off, and checks what arrived."""

from __future__ import annotations

import glob
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from pixel_synth.errors import SourceError
from pixel_synth.jsonl import whole
from pixel_synth.publish.hub_plan import PushPlan
from pixel_synth.sources.hub_client import bars, check_name, client, endpoint_of, offline, trying
from pixel_synth.sources.pins import FilePin, pin_of

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import DatasetInfo, RepoFile

MANIFEST = "manifest.json"


class Pushed(NamedTuple):
    """What lies on the Hub now: every file of the version was compared with what was sent."""

    repo: str
    commit: str
    tag: str
    files: int
    bytes: int
    url: str
    new: bool


def push(plan: PushPlan, repo: str, *, public: bool = False, endpoint: str = "") -> Pushed:
    """Send the files of a plan and tag the commit; whatever an earlier, broken push has brought there is not sent again.

    Files that an earlier version had and this one has not are removed from the branch; earlier tags keep them.

    Args:
        plan: From `pixel_synth.publish.hub_plan.plan`.
        repo: ORG/NAME.
        public: Whether a new set is made public; one that is there must be what is asked for.
        endpoint: Address of the Hub; default ``HF_ENDPOINT``, else https://huggingface.co.

    Raises:
        SourceError: When the plan is refused, no token is set, the set there is not of this kind or has the tag for other files, the
            Hub cannot be reached (``retryable``: the same push goes on), or something else arrived than was sent.
        UsageError: When ``repo`` is no name of a set.
    """
    if plan.refusals:
        raise SourceError(f"{plan.folder} may not be pushed: {plan.refusals[0]}", hint="see all reasons with a dry run")
    api = client(endpoint_of(endpoint))
    _check_token(check_name(repo))
    _check_visibility(api, repo, public)
    with _staged(plan) as (folder, files):
        done = _already(api, repo, plan.tag, folder, files)
        commit = done or _send(api, repo, folder, plan, files)
        _compare(_remote(api, repo, commit), folder, files, repo)
    if not done:
        trying(lambda: api.create_tag(repo, tag=plan.tag, revision=commit, repo_type="dataset", exist_ok=True), repo, api)
        if _tags(api, repo).get(plan.tag) != commit:
            raise SourceError(f"{repo}: tag {plan.tag} was given to another commit meanwhile", hint="push with another --tag")
    url = f"{api.endpoint}/datasets/{repo}/tree/{plan.tag}"
    return Pushed(repo, commit, plan.tag, len(files), sum(f.size for f in files.values()), url, not done)


def _check_token(repo: str) -> None:
    from huggingface_hub import get_token

    if offline():
        raise SourceError(f"{repo} cannot be pushed while HF_HUB_OFFLINE is set", hint="unset it")
    if not get_token():
        raise SourceError("a push needs a token", hint="set HF_TOKEN to one that may write, or call `hf auth login`")


def _check_visibility(api: HfApi, repo: str, public: bool) -> None:
    """Make the set when it is not there; refuse one that more, or fewer, people can read than was asked for."""
    trying(lambda: api.create_repo(repo, private=not public, repo_type="dataset", exist_ok=True), repo, api)
    info: DatasetInfo = trying(lambda: api.dataset_info(repo), repo, api)
    if bool(info.private) == public:
        there, asked = ("private", "with --public") if public else ("public", "without --public")
        raise SourceError(f"{repo} is {there} and the push is {asked}", hint="change the set in its settings, or the flag")


@contextmanager
def _staged(plan: PushPlan) -> Iterator[tuple[Path, dict[str, FilePin]]]:
    """Yield a folder of links to exactly the files that go, with a manifest of them."""
    with TemporaryDirectory(prefix="pixel-push-") as name:
        folder = Path(name)
        for path in plan.files:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).symlink_to((plan.folder / path).resolve())
        entries = {path: {"sha256": pin.sha256, "bytes": pin.size} for path, pin in sorted(plan.files.items())}
        with whole(folder / MANIFEST) as file:
            file.write(json.dumps({"files": entries}, indent=2) + "\n")
        yield folder, {**plan.files, MANIFEST: pin_of(folder / MANIFEST)}


def _send(api: HfApi, repo: str, folder: Path, plan: PushPlan, files: Mapping[str, FilePin]) -> str:
    """Upload and return the commit.

    The client asks first which large files the Hub has, so that a second try sends the others only.
    """
    gone = [glob.escape(path) for path in _listed(api, repo) if path not in files]
    with bars(sys.stderr.isatty()):
        trying(
            lambda: api.upload_folder(
                repo_id=repo, folder_path=folder, repo_type="dataset", commit_message=plan.message, delete_patterns=gone or None
            ),
            repo,
            api,
        )
    info: DatasetInfo = trying(lambda: api.dataset_info(repo), repo, api)
    return str(info.sha)


def _listed(api: HfApi, repo: str) -> list[str]:
    """Return the files of the version that is there now, by its manifest; none when it has none."""
    from huggingface_hub.errors import EntryNotFoundError

    def read() -> list[str]:
        with TemporaryDirectory(prefix="pixel-push-") as cache:
            try:
                path = api.hf_hub_download(repo, MANIFEST, repo_type="dataset", cache_dir=cache)
            except EntryNotFoundError:
                return []
            try:
                return list(json.loads(Path(path).read_text(encoding="utf-8"))["files"])
            except (ValueError, KeyError, TypeError):
                return []

    with bars(False):
        return trying(read, repo, api)


def _already(api: HfApi, repo: str, tag: str, folder: Path, files: Mapping[str, FilePin]) -> str:
    """Return the commit of the tag when it has these files; nothing when the tag is free."""
    commit = _tags(api, repo).get(tag, "")
    if commit:
        try:
            _compare(_remote(api, repo, commit), folder, files, repo)
        except SourceError as error:
            raise SourceError(f"{repo} has a version {tag} with other files", hint="push with another --tag") from error
    return commit


def _tags(api: HfApi, repo: str) -> dict[str, str]:
    refs = trying(lambda: api.list_repo_refs(repo, repo_type="dataset"), repo, api)
    return {t.name: t.target_commit for t in refs.tags}


def _remote(api: HfApi, repo: str, commit: str) -> dict[str, RepoFile]:
    from huggingface_hub.hf_api import RepoFile

    tree = trying(lambda: list(api.list_repo_tree(repo, recursive=True, revision=commit, repo_type="dataset")), repo, api, commit)
    return {f.path: f for f in tree if isinstance(f, RepoFile)}


def _compare(remote: Mapping[str, RepoFile], folder: Path, files: Mapping[str, FilePin], repo: str) -> None:
    """Compare sizes and hashes of what the Hub lists with what was sent.

    Large files are listed with their SHA-256, small ones with git's blob id (https://git-scm.com/book/en/v2/Git-Internals-Git-Objects).

    Raises:
        SourceError: Naming the first file that is not there or differs.
    """
    for path, pin in files.items():
        there = remote.get(path)
        same = there is not None and there.size == pin.size
        if same and there is not None:
            same = there.lfs.sha256 == pin.sha256 if there.lfs else _same(folder / path, pin, there.blob_id)
        if not same:
            raise SourceError(f"{repo}: {path} is not there as it was sent", hint="push again; look who else writes to the set")


def _same(path: Path, pin: FilePin, blob_id: str) -> bool:
    """Whether a small file is still what was planned, and is what the Hub has."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest() == blob_id and pin_of(path) == pin
