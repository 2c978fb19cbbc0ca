"""Alerts: one line each in ``alerts.jsonl``, and posted to a webhook when one is asked for.

A webhook's address may be a secret in itself: it is never written anywhere, and messages name its host only.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import ValidationError

from pixel_synth.errors import UsageError
from pixel_synth.prove.monitor.drift import Finding
from pixel_synth.prove.monitor.store import append
from pixel_synth.records import Record

ALERTS = "alerts.jsonl"
TIMEOUT_S = 10.0
TRIES = 3
WAIT_S = 1.0  # before the second try, twice that before the third


class Alert(Record):
    """Quality fell or moved: which score, where, since which window, and the figures of the slice that is worst off."""

    event: Literal["quality_alert"] = "quality_alert"
    id: str
    at: str
    run: str
    stage: str
    window: int
    kind: Literal["drop", "drift", "gradual drop"]
    metric: str
    slices: tuple[str, ...]
    text: str
    baseline: str
    worst: Finding


def read(path: Path) -> list[Alert]:
    """Return the alerts of a file; lines of other shape (other parts write there too) and a torn last line are passed over."""
    if not path.is_file():
        return []
    found = []
    with path.open("rb") as file:
        for line in file:
            if b'"quality_alert"' in line:
                try:
                    found.append(Alert.model_validate_json(line))
                except ValidationError:
                    continue
    return found


def keep(run_dir: Path, alerts: Sequence[Alert]) -> list[Alert]:
    """Append those alerts to ``alerts.jsonl`` that are not there yet, and return them."""
    known = {alert.id for alert in read(run_dir / ALERTS)} if alerts else set()
    new = [alert for alert in alerts if alert.id not in known]
    if new:
        append(run_dir / ALERTS, new)
    return new


class Webhook:
    """Posts alerts as JSON.

    Args:
        url: ``https://…``, or ``http://`` on this machine; ``env:NAME`` takes it from an environment variable.
        timeout_s: For one try, in seconds.
        wait_s: Before the second try, in seconds.

    Raises:
        UsageError: When the address may not be used.
    """

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S, wait_s: float = WAIT_S) -> None:
        if url.startswith("env:"):
            url = os.environ.get(url[4:], "")
        self._url, self.host = url, _checked(url)
        self._timeout_s, self._wait_s = timeout_s, wait_s

    def post(self, alerts: Sequence[Alert]) -> str:
        """Post ``{"text", "alerts"}``; returns "" when it was taken, else what went wrong: a monitor must not stop a run."""
        import requests

        body = {"text": "\n".join(a.text for a in alerts), "alerts": [json.loads(a.line()) for a in alerts]}
        wrong = ""
        for attempt in range(TRIES):
            if attempt:
                time.sleep(self._wait_s * 2 ** (attempt - 1))
            try:
                answer = requests.post(self._url, json=body, timeout=self._timeout_s, allow_redirects=False)
            except requests.RequestException as error:
                wrong = type(error).__name__
                continue
            if answer.status_code < 300:
                return ""
            wrong = f"status {answer.status_code}"
            if answer.status_code < 500 and answer.status_code not in (408, 429):
                break
        return f"webhook {self.host} did not take {len(alerts)} alert{'s' * (len(alerts) > 1)}: {wrong}"


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise UsageError(f"webhook: no address: {error}", hint="--webhook https://HOST/PATH") from error
    if parts.username or parts.password:
        raise UsageError("webhook: no user or password in the address", hint="put the whole address into a variable: --webhook env:NAME")
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and _loopback(host))):
        raise UsageError("webhook: https:// is needed, or http:// on this machine", hint="--webhook https://HOST/PATH, or env:NAME")
    return host


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
