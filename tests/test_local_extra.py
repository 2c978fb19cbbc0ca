"""The engine ``transformers`` where its extra is missing."""

from __future__ import annotations

import pytest

from pixel_synth.errors import EngineError
from pixel_synth.llms import local


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "NEEDS", ("json", "no_such_package"))
    with pytest.raises(EngineError, match="needs no_such_package") as caught:
        local.LocalModel("some/model")
    assert caught.value.hint == "pip install 'pixel-synth[transformers]'"
