"""Prompt files: strict front matter and strict variables both ways."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pixel_synth.errors import PromptError
from pixel_synth.prompts import all_prompts, load_prompt, prompts_dir

HEAD = '---\nname: greet\nversion: "1.0"\nvariables: [who]\n---\n'
GOOD = HEAD + "## system\nYou greet.\n\n## user\nGreet {{ who }}.\n"


def write(folder: Path, text: str) -> Path:
    (folder / "greet.md").write_text(text, encoding="utf-8")
    return folder


def test_a_prompt_renders_to_chat_messages_and_carries_the_hash_of_its_file(tmp_path: Path) -> None:
    prompt = load_prompt("greet", write(tmp_path, GOOD))
    assert prompt.render(who="Ana") == [{"role": "system", "content": "You greet."}, {"role": "user", "content": "Greet Ana."}]
    assert prompt.ref.sha256 == hashlib.sha256(GOOD.encode()).hexdigest()


def test_a_missing_and_an_unknown_variable_are_errors(tmp_path: Path) -> None:
    prompt = load_prompt("greet", write(tmp_path, GOOD))
    with pytest.raises(PromptError, match="missing who"):
        prompt.render()
    with pytest.raises(PromptError, match="unknown whom"):
        prompt.render(who="Ana", whom="Bo")


def test_values_are_never_read_as_templates(tmp_path: Path) -> None:
    prompt = load_prompt("greet", write(tmp_path, GOOD))
    assert prompt.render(who="{{ 7 * 7 }} <b>")[1]["content"] == "Greet {{ 7 * 7 }} <b>."


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (GOOD.replace("{{ who }}", "{{ whom }}"), "who, whom"),
        (GOOD.replace("[who]", "[who, spare]"), "spare"),
        (GOOD.replace("name: greet", "name: other"), "front matter"),
        (GOOD.replace('version: "1.0"\n', ""), "front matter"),
        (GOOD.replace("version:", "color: red\nversion:"), "front matter"),
        (HEAD + "Just {{ who }}.\n", "sections"),
        (HEAD + "stray text\n## user\n{{ who }}\n", "sections"),
        (HEAD + "## user\n{% if who %}\n", "line"),
    ],
    ids=["undeclared", "unused", "other-name", "no-version", "extra-key", "no-section", "stray-text", "syntax"],
)
def test_a_malformed_prompt_is_an_error_that_names_its_file(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(PromptError, match=fault) as caught:
        load_prompt("greet", write(tmp_path, text))
    assert "greet.md" in caught.value.message


def test_an_unknown_prompt_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(PromptError) as caught:
        load_prompt("greeet", write(tmp_path, GOOD))
    assert "greet" in caught.value.hint


def test_the_folder_can_be_set_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXEL_PROMPTS_DIR", str(write(tmp_path, GOOD)))
    assert prompts_dir() == tmp_path
    assert [p.ref.name for p in all_prompts()] == ["greet"]


@pytest.mark.parametrize(
    "front", ["---\n[1, 2\n---\n", "---\nname: greet\nversion: 1\nvariables: 3\n---\n"], ids=["not-yaml", "not-a-list"]
)
def test_broken_front_matter_is_a_prompt_error_too(tmp_path: Path, front: str) -> None:
    with pytest.raises(PromptError, match=r"greet\.md"):
        load_prompt("greet", write(tmp_path, front + "## user\nhello\n"))
