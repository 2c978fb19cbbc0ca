"""A server without a model: OpenAI-compatible, schema-valid answers, faults and speeds on demand.

``python -m pixel_synth.llms.mock --help`` tells what it can do; `Mock` starts one for as long as a ``with`` block lasts.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from types import TracebackType
from typing import IO, Any, cast
from urllib.parse import urlsplit

from pixel_synth.errors import EngineError


class Mock:
    """A mock server in a process of its own, ended with its whole group.

    Args:
        arguments: Of its command line; the port is chosen by itself unless ``--port`` is among them.
        start_timeout_s: How long to wait until it listens.

    Raises:
        EngineError: On entry, when the server does not start; the message holds what it said.
    """

    process: subprocess.Popen[str]
    url: str  # of the API, "http://127.0.0.1:PORT/v1"

    def __init__(self, *arguments: str, start_timeout_s: float = 30.0) -> None:
        self.arguments = arguments if "--port" in arguments else ("--port", "0", *arguments)
        self.start_timeout_s = start_timeout_s

    def __enter__(self) -> Mock:
        self._log: IO[str] = tempfile.TemporaryFile("w+")  # open as long as the server
        # Its standard input is a pipe from here, so that it ends with this process however that ends.
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", __name__, "--until-eof", *self.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        line = self._first_line()
        if not line.startswith("listening on "):
            self.kill()
            said = self.log()
            self._close()
            raise EngineError(f"the mock server did not start: {said.strip() or line or 'it said nothing'}")
        self.url = line.split()[-1]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()
        self._close()

    def _first_line(self) -> str:
        stdout = cast(IO[str], self.process.stdout)
        return stdout.readline() if select.select([stdout], [], [], self.start_timeout_s)[0] else ""

    def _close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout, self._log):
            if stream is not None:
                stream.close()

    def kill(self) -> None:
        """End the server and all it has started, at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def log(self) -> str:
        """Return what the server has written to its standard error."""
        self._log.seek(0)
        return self._log.read()

    def stats(self) -> dict[str, Any]:
        """Return the server's counters."""
        return self._ask("GET", "/mock/stats")

    def faults(self, **shares: float) -> dict[str, Any]:
        """Replace all shares of faults, as in ``mock.faults(**{"500": 0.2}, hang=0.1)``; without any, nothing fails any more."""
        return self._ask("POST", "/mock/faults", shares)

    def pace(self, **values: float) -> dict[str, Any]:
        """Change some of the speeds, as in ``mock.pace(token_ms=5)``; return all."""
        return self._ask("POST", "/mock/pace", values)

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=10)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            data = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise EngineError(f"the mock server answered {response.status} to {path}: {data['error']['message']}")
        return cast(dict[str, Any], data)
