"""distilabel's own way to ask for one turn, for `contenders.py`: a stock `Task` whose messages were recorded beforehand."""

import json
from pathlib import Path
from typing import Any

from distilabel.steps.tasks import Task
from pydantic import PrivateAttr


class Turn(Task):  # type: ignore[misc]
    """Sends the recorded messages of a row and keeps the answer, as text.

    Attributes:
        at: Which request of the conversation.
        path: JSON file with the messages of each row.
    """

    at: int
    path: str
    _messages: list[list[dict[str, str]]] = PrivateAttr(default_factory=list)

    def load(self) -> None:
        """Read the messages."""
        super().load()
        self._messages = json.loads(Path(self.path).read_text(encoding="utf-8"))

    @property
    def inputs(self) -> list[str]:
        """The row's number, and the answer before this one."""
        return ["slot", f"answer_{self.at - 1}"] if self.at else ["slot"]

    @property
    def outputs(self) -> list[str]:
        """The answer."""
        return [f"answer_{self.at}"]

    def format_input(self, input: dict[str, Any]) -> list[dict[str, str]]:
        """Return the messages of a row."""
        return self._messages[input["slot"]]

    def format_output(self, output: str | None, input: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer as it came."""
        return {f"answer_{self.at}": output}
