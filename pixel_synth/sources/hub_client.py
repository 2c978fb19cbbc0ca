"""The Hub's client as we use it: which endpoint, without Xet off the real Hub, tried again, and its errors in one clear line each."""

from __future__ import annotations

import difflib
import errno
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from pixel_synth.errors import SourceError, UsageError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")

REAL = "https://huggingface.co"
TRIES = 4  # of everything that the network may answer another time; the client itself retries inside a download
WAIT_S = 1.0  # before the second try; doubled before each further one
LONGEST_WAIT_S = 60.0
AGAIN = frozenset({408, 429, 500, 502, 503, 504})  # the statuses that huggingface_hub retries too
# https://huggingface.co/docs/huggingface_hub/package_reference/utilities#huggingface_hub.utils.validate_repo_id
_NAME = re.compile(r"[\w-][\w.-]{0,95}/[\w-][\w.-]{0,95}")


def endpoint_of(endpoint: str = "") -> str:
    """Return the Hub's address: the one given, else ``HF_ENDPOINT`` as it is now, else the real Hub.

    Raises:
        UsageError: When it is no http address.
    """
    address = (endpoint or os.environ.get("HF_ENDPOINT") or REAL).rstrip("/")
    if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname:
        raise UsageError("HF_ENDPOINT is no http(s) address", hint="unset it to use https://huggingface.co")
    return address


def check_name(repo: str) -> str:
    """Return the name of a set when it is one.

    Raises:
        UsageError: When it is not OWNER/NAME in letters that the Hub allows.
    """
    if not _NAME.fullmatch(repo) or ".." in repo or "--" in repo:
        raise UsageError(f"{repo!r} is no name of a set on the Hub", hint="OWNER/NAME, such as nbertagnolli/counsel-chat")
    return repo


def client(endpoint: str) -> HfApi:
    """Return the client of an endpoint; only the real Hub speaks Xet, so it is switched off for any other."""
    from huggingface_hub import HfApi, constants

    if urlsplit(endpoint).hostname != urlsplit(REAL).hostname:
        constants.HF_HUB_DISABLE_XET = True  # read at each call; the variable itself was read at import
    return HfApi(endpoint=endpoint)


@contextmanager
def bars(shown: bool) -> Iterator[None]:
    """Let the client show its progress bars inside, or not; a user's own setting against them stands."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    if shown or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def offline() -> bool:
    """Whether ``HF_HUB_OFFLINE`` forbids the network."""
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def trying(work: Callable[[], T], repo: str, api: HfApi, revision: str = "", tries: int = 0) -> T:
    """Call the Hub until it answers, at most ``tries`` times (0 = `TRIES`) with growing waits.

    Raises:
        SourceError: What went wrong, in one line; ``retryable`` when only the network is to blame.
    """
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    transport = HfHubHTTPError.__mro__[1]  # HTTPError of the HTTP library the client uses: httpx in 1.x, httpx2 in 2.x
    most = tries or TRIES
    for attempt in range(most):
        try:
            return work()
        except (transport, LocalEntryNotFoundError, OSError, ValueError, RuntimeError) as error:  # type: ignore[misc]
            told = explain(error, repo, api, revision)
            if told is None:
                raise
            if not told.retryable or attempt == most - 1:
                raise told from None  # the cause carries the address and headers of the request
            time.sleep(_wait_s(error, attempt))
    raise AssertionError("unreachable")


def _wait_s(error: BaseException, attempt: int) -> float:
    headers = getattr(getattr(error, "response", None), "headers", {})
    asked = headers.get("Retry-After", "")
    return min(LONGEST_WAIT_S, float(asked) if asked.isdigit() else WAIT_S * 2**attempt)


def explain(error: BaseException, repo: str, api: HfApi, revision: str = "") -> SourceError | None:
    """Return what an error of the client means for a user, without any of its text; ``None`` when it is none of the Hub's."""
    from huggingface_hub import errors

    told = None
    match error:
        case SourceError():
            told = error
        case errors.GatedRepoError():
            told = _gated(repo, api.endpoint, _status(error))
        case errors.RevisionNotFoundError():
            told = SourceError(f"{repo} has no revision {revision or 'main'}", hint="look at its commits and tags on the Hub")
        case errors.EntryNotFoundError() if not isinstance(error, errors.LocalEntryNotFoundError):
            told = SourceError(f"{repo} lost a file while it was fetched", hint="fetch again")
        case errors.RepositoryNotFoundError():
            told = _missing(repo, api)
        case errors.DisabledRepoError():
            told = SourceError(f"the Hub has disabled {repo}", hint="leave it out")
        case errors.OfflineModeIsEnabled():
            told = SourceError(f"{repo} is not complete in the cache and HF_HUB_OFFLINE is set", hint="unset it and fetch once")
        case errors.HfHubHTTPError():
            told = _refused(error, repo, api)
        case errors.FileMetadataError():
            told = SourceError(f"{_where(api.endpoint)} does not answer as a Hub does", hint="look at HF_ENDPOINT")
        case OSError(errno=errno.ENOSPC):
            told = SourceError(f"the disk is full: {repo} could not be fetched completely", hint="make room and fetch again: it goes on")
    if told is None and error.__cause__ is not None:
        told = explain(error.__cause__, repo, api, revision)
    if told is None and _is_network(error):
        told = SourceError(f"{_where(api.endpoint)} cannot be reached, or broke off", hint="try again: it goes on", retryable=True)
    if told is None and isinstance(error, OSError) and error.filename:
        told = SourceError(f"{error.filename}: {error.strerror}", hint="look at the folder and its rights")
    return told


def _is_network(error: BaseException) -> bool:
    from huggingface_hub import errors

    transport = errors.HfHubHTTPError.__mro__[1]
    # The client says "Consistency check failed" in a bare OSError when a body ends early.
    early = type(error) is OSError and error.errno is None
    return early or isinstance(error, (transport, errors.LocalEntryNotFoundError, ConnectionError, TimeoutError))


def _status(error: BaseException) -> int:
    return int(getattr(getattr(error, "response", None), "status_code", 0))


def _where(endpoint: str) -> str:
    """Return an address without whatever user and password it holds."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"


def _gated(repo: str, endpoint: str, status: int) -> SourceError:
    page = f"{_where(endpoint)}/datasets/{repo}"
    if status == 401:
        return SourceError(f"{repo} is gated", hint=f"accept the terms at {page}, then set HF_TOKEN to a token of that account")
    return SourceError(f"{repo} is gated and the account of HF_TOKEN has no access", hint=f"accept the terms, or ask for access, at {page}")


def _refused(error: BaseException, repo: str, api: HfApi) -> SourceError:
    status, response = _status(error), getattr(error, "response", None)
    if status in AGAIN:
        why = "asks for fewer requests" if status == 429 else "is out of order"
        return SourceError(f"{_where(api.endpoint)} {why} (status {status})", hint="try again later: it goes on", retryable=True)
    if status == 401 and response is not None and response.headers.get("X-Error-Message", "").startswith("Invalid cred"):
        return SourceError(f"{_where(api.endpoint)} does not know the token in HF_TOKEN", hint="make a new one in the account's settings")
    if status == 401:
        return _missing(repo, api)
    if status == 403:
        return SourceError(
            f"the account of HF_TOKEN has no access to {repo}, or may not write to it", hint="ask its owner, or another token"
        )
    return SourceError(f"{_where(api.endpoint)} refuses {repo} with status {status}")


def _missing(repo: str, api: HfApi) -> SourceError:
    near = _near(repo, api)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return SourceError(f"no set {repo} on {_where(api.endpoint)}", hint=f"{hint}a private set needs HF_TOKEN of an account with access")


def _near(repo: str, api: HfApi) -> list[str]:
    """Return up to three sets of a similar name, or none when the Hub cannot be asked."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        found = [s.id for s in api.list_datasets(search=repo.split("/")[-1], limit=20)]
    except (HfHubHTTPError.__mro__[1], OSError):  # type: ignore[misc]
        return []
    return difflib.get_close_matches(repo, [f for f in found if f != repo], n=3, cutoff=0.5)
