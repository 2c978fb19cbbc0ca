"""One request to one OpenAI-compatible server over aiohttp, and what became of it, told apart by kind.

Every way to fail is an `EngineError` with its kind: ``timeout``, ``unreachable`` (refused, dropped), ``rate_limited`` (429),
``server_error`` (5xx, or an answer that is no chat completion), ``bad_request`` (other 4xx: asking again cannot help).
Keys travel in a header only and are never part of a message or a log.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from pixel_synth.errors import EngineDown, EngineError, UsageError
from pixel_synth.llms.engine import Completion

if TYPE_CHECKING:
    import aiohttp

EXCERPT = 300  # characters of a server's own words in an error message
CONNECT_S = 20.0  # a host that is switched off does not even refuse
# vLLM and others close an idle connection after 5 s; one that closes just as it is used again costs a try.
KEEP_S = 4.0
_FINISH = {"stop": "stop", "length": "length", "content_filter": "refused"}


class RateLimited(EngineError):
    """The server asks to wait ``after_s`` seconds (0 when it does not say how long)."""

    def __init__(self, message: str, after_s: float) -> None:
        super().__init__(message, kind="rate_limited")
        self.after_s = after_s


def clean_url(url: str) -> str:
    """Return a server address without a trailing slash, ending in ``/v1`` when it has no path.

    Raises:
        UsageError: When it is no http(s) address, or carries a user name or password.
    """
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{url!r} is no http(s) address", hint="e.g. http://127.0.0.1:8000/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError(
            "a server address carries no user name, password, query or fragment", hint="a key goes into the environment: PIXEL_API_KEY"
        )
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") or "/v1", "", ""))


def root(url: str) -> str:
    """Return the address beside ``/v1``, where vLLM answers /health, /version and /metrics."""
    return url.removesuffix("/v1")


def new_session(api_key: str) -> aiohttp.ClientSession:
    """Open a session without a limit on connections (the windows decide) and without a total timeout."""
    import aiohttp

    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_S)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
    return aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout)


async def chat(session: aiohttp.ClientSession, url: str, body: dict[str, Any], timeout_s: float) -> Completion:
    """POST one chat completion.

    Raises:
        EngineError: With its kind.
        EngineDown: When the server says that key or model are wrong, so that no request can ever succeed.
    """
    import aiohttp

    try:
        async with asyncio.timeout(timeout_s), session.post(f"{url}/chat/completions", json=body) as response:
            text = (await response.read()).decode(errors="replace")
    except (aiohttp.ClientError, ConnectionError) as error:  # before TimeoutError: no connection within CONNECT_S is both
        raise EngineError(f"{url}: {_told(error)}", kind="unreachable") from error
    except TimeoutError as error:
        raise EngineError(f"{url}: no answer within {timeout_s:g} s", kind="timeout") from error
    text = _without_key(session, text)
    if response.status != 200:
        raise _refusal(url, response.status, text, response.headers.get("Retry-After", ""))
    return _completion(url, text)


def _without_key(session: aiohttp.ClientSession, text: str) -> str:
    """Return a server's words without our key, which some servers repeat when they refuse it."""
    key = session.headers.get("Authorization", "").removeprefix("Bearer ")
    return text.replace(key, "***") if key else text


def _refusal(url: str, status: int, text: str, retry_after: str) -> EngineError:
    message = f"{url}: HTTP {status}: {_words(text)}"
    if status == 429 or (status == 503 and retry_after):
        return RateLimited(message, _seconds(retry_after))
    if status >= 500 or status in (408, 409, 425):
        return EngineError(message, kind="server_error")
    if status in (401, 403):
        return EngineDown(message, hint="set PIXEL_API_KEY (or PIXEL_JUDGE_API_KEY) to a key that this server accepts", kind="bad_request")
    if status == 404:
        return EngineDown(message, hint="does the server have this model? see its /v1/models", kind="bad_request")
    return EngineError(message, kind="bad_request")


def _told(error: Exception) -> str:
    """Return an error of the connection on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:EXCERPT]


def _seconds(retry_after: str) -> float:
    """Return how long a Retry-After header asks to wait; 0 where it names no number of seconds."""
    return float(retry_after) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]*)?", retry_after.strip()) else 0.0


def _words(text: str) -> str:
    """Return what a server says about an error, shortened, on one line."""
    try:
        data = json.loads(text)
        error = data.get("error", data)
        text = str(error.get("message", error) if isinstance(error, dict) else error)
    except (ValueError, AttributeError):
        pass
    return " ".join(text.split())[:EXCERPT] or "no message"


def _completion(url: str, text: str) -> Completion:
    """Read a chat completion; a body that is none is a fault of the server."""
    try:
        data = json.loads(text)
        choice = data["choices"][0]
        message = choice["message"]
        finish = "refused" if message.get("refusal") else _FINISH.get(choice.get("finish_reason") or "stop", "stop")
        usage = data.get("usage") or {}
        details = usage.get("prompt_tokens_details") or {}
        return Completion.model_validate(
            {
                # Half a character (a lone surrogate) cannot be stored; the answer is judged, and kept, without it.
                "text": (message.get("content") or message.get("refusal") or "").encode(errors="replace").decode(),
                "finish": finish,
                "tokens_in": usage.get("prompt_tokens"),
                "tokens_out": usage.get("completion_tokens"),
                "cached": details.get("cached_tokens"),
            }
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise EngineError(f"{url}: answered something that is no chat completion: {_words(text)}", kind="server_error") from error


async def get(session: aiohttp.ClientSession, url: str, timeout_s: float = 5.0) -> tuple[int, str]:
    """GET a small page; (0, reason) when there is no answer."""
    import aiohttp

    try:
        async with asyncio.timeout(timeout_s), session.get(url) as response:
            return response.status, (await response.read()).decode(errors="replace")
    except (TimeoutError, aiohttp.ClientError, ConnectionError) as error:
        return 0, _told(error)
