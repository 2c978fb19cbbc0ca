"""Ingest: files become one JSONL with exact books, the same whatever the number of workers, whole or not there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pixel_synth.cli import main
from pixel_synth.errors import UsageError
from pixel_synth.jsonl import conversations
from pixel_synth.standardise.figures import Ingested, Limits, Metrics
from pixel_synth.standardise.ingest import OUTPUTS, ingest
from pixel_synth.standardise.spec import Spec

SPEC = Spec(source="set", category="mental_health", license="MIT")


def row(n: int) -> dict[str, str]:
    answer = (
        f"What happened {n} weeks ago, when it began? I would like to hear how your evenings go, and what you do when sleep stays away."
    )
    return {"prompt": f"I have slept badly for {n} weeks now.", "response": answer}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files: 300 good lines with 30 torn ones between them, a CSV with two repeats, a table nobody talks in."""
    made = tmp_path / "in"
    made.mkdir()
    lines = [json.dumps(row(n)) if n % 11 else '{"prompt": ' for n in range(330)]
    (made / "a.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    talks = [f"Patient: {row(n)['prompt']}\nTherapist: {row(n)['response']}" for n in (1001, 1002, 1001, 1002)]
    (made / "b.csv").write_text("id,text\n" + "".join(f'{n},"{t}"\n' for n, t in enumerate(talks)), encoding="utf-8")
    (made / "c.csv").write_text("id,age\n1,34\n2,51\n", encoding="utf-8")
    (made / "README.md").write_text("words", encoding="utf-8")
    return made


def test_books_add_up_for_every_file_and_for_all(folder: Path, tmp_path: Path) -> None:
    done = ingest([folder], tmp_path / "out", SPEC, batch_size=100)
    assert [(f.file, f.shape, f.books.taken, f.books.kept) for f in done.files] == [
        ("in/a.jsonl", "prompt_response", 330, 300), ("in/b.csv", "markers", 4, 2), ("in/c.csv", "", 2, 0),
    ]  # fmt: skip
    assert done.books.reasons == {"malformed JSON": 30, "repeat": 2, "unknown shape": 2}
    assert (done.books.taken, done.books.kept, done.books.rejected) == (336, 302, 34)
    assert done.skipped == ("in/README.md",)
    records = list(conversations(tmp_path / "out" / "kept.jsonl"))
    assert len({r.id for r in records}) == 302
    assert {len(r.provenance.revision) for r in records} == {64}
    rejects = [json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()]
    assert [(r["file"], r["row"]) for r in rejects][:2] == [("in/a.jsonl", 1), ("in/a.jsonl", 12)]
    assert len(rejects) == 34
    assert all(r["reason"] and r["stage"] == "standardise" and (r["text"] or r["id"]) for r in rejects)
    assert Ingested.model_validate_json((tmp_path / "out" / "ingest.json").read_text()) == done


def test_the_output_is_the_same_whatever_the_batches_and_again(folder: Path, tmp_path: Path) -> None:
    for name, size in {"one": 1000, "two": 7}.items():
        ingest([folder], tmp_path / name, SPEC, batch_size=size)
    for file in ("kept.jsonl", "rejects.jsonl", "ingest.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


@pytest.mark.heavy
def test_several_processes_write_what_one_writes(folder: Path, tmp_path: Path) -> None:
    ingest([folder], tmp_path / "one", SPEC, batch_size=20)
    ingest([folder], tmp_path / "two", SPEC, batch_size=20, workers=2)
    for file in OUTPUTS:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_figures_are_kept_for_every_batch_and_a_breach_is_told_once_per_file(folder: Path, tmp_path: Path) -> None:
    seen: list[Metrics] = []
    done = ingest([folder], tmp_path / "out", SPEC, batch_size=100, limits=Limits(0.05, 0.999), show=lambda m, _: seen.append(m))
    assert [Metrics.model_validate_json(x) for x in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()] == seen
    assert [m.taken for m in seen] == [100, 100, 100, 30, 4, 2]
    assert all(m.taken == m.kept + m.rejected for m in seen)
    assert (seen[4].repeats, seen[4].reject_rate) == (2, 0.0)
    assert (seen[5].language_quality, seen[5].sampled) == (None, 0)
    assert all(m.language_quality is not None and 0 < m.language_quality <= 1 for m in seen[:4])
    alerts = [json.loads(line) for line in (tmp_path / "out" / "alerts.jsonl").read_text().splitlines()]
    assert [a["file"] for a in alerts if a["measure"] == "reject_rate"] == ["in/a.jsonl", "in/c.csv"]
    assert len(done.alerts) == len(alerts)


def test_a_limit_counts_rows_of_all_files(folder: Path, tmp_path: Path) -> None:
    done = ingest([folder / "b.csv", folder / "a.jsonl"], None, SPEC, limit=10)
    assert [f.books.taken for f in done.files] == [4, 6]
    assert not (tmp_path / "out").exists()


def test_a_run_that_ends_early_leaves_what_was_there(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ingest([folder / "b.csv"], out, SPEC)
    before = (out / "kept.jsonl").read_bytes()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest([folder], out, SPEC, show=stop)
    assert (out / "kept.jsonl").read_bytes() == before
    assert {p.name for p in out.iterdir()} == set(OUTPUTS)


def test_what_cannot_be_meant_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lies in the input"):
        ingest([folder], folder / "out", SPEC)
    with pytest.raises(UsageError, match="of which category"):
        ingest([folder], tmp_path / "out", Spec(source="set"))
    with pytest.raises(UsageError, match="at least 1"):
        ingest([folder], tmp_path / "out", SPEC, workers=0)
    assert not (tmp_path / "out" / "kept.jsonl").exists()


def test_the_command_tells_shape_books_and_reasons(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    status = main(["ingest", str(folder / "a.jsonl"), "-o", str(out), "--category", "psychology", "--license", "MIT"])
    told = capsys.readouterr().out
    assert status == 0
    assert "prompt_response (fits 100% of" in told
    assert "330 taken in = 300 kept + 30 rejected + 0 failed" in told
    first = next(conversations(out / "kept.jsonl"))
    assert (first.category, first.provenance.source, first.provenance.license) == ("psychology", "a", "MIT")


def test_a_dry_run_shows_a_record_and_writes_nothing(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["ingest", str(folder), "-o", str(tmp_path / "out"), "--category", "psychology", "--dry-run"])
    told, errors = capsys.readouterr()
    assert status == 1  # an alert: nobody talks in c.csv
    assert "alert: in/c.csv, batch 1: reject_rate 1.000 is above 0.2" in errors
    assert "'I have slept badly for 1 weeks now.'" in told
    assert not (tmp_path / "out").exists()


def test_flags_read_a_table_that_nobody_knows(tmp_path: Path) -> None:
    path = tmp_path / "fragen.csv"
    path.write_text("Frage,Antwort,Thema,Am,Von\nSchlafe ich?,Seit wann nicht?,sleep,2024-01-02,u7\n", encoding="utf-8")
    flags = "--shape prompt_response --column prompt=Frage --column response=Antwort --label topic=Thema --created Am --group speaker=Von"
    assert main(["ingest", str(path), "-o", str(tmp_path / "out"), "--category", "mental_health", "--source", "f", *flags.split()]) == 0
    record = next(conversations(tmp_path / "out" / "kept.jsonl"))
    assert (record.labels.topic, record.provenance.created) == ("sleep", "2024-01-02")
    assert record.groups[-1] == "speaker:f/u7"


@pytest.mark.parametrize("flags", [["--column", "prompt"], ["--category", "poetry"]])
def test_a_wrong_flag_ends_with_status_two(folder: Path, flags: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["ingest", str(folder), "-o", "out", *flags])
    assert end.value.code == 2


@pytest.mark.heavy
def test_a_large_file_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for n in range(20_000):
            file.write(json.dumps({**row(n), "pad": "x" * 3000}) + "\n")
        file.write('{"prompt": "' + "a" * 50_000_000 + '"}\n')
        file.write(json.dumps(row(-1)) + "\n")
    code = (
        "import re, sys; from pathlib import Path\n"
        "from pixel_synth.standardise.ingest import ingest; from pixel_synth.standardise.spec import Spec\n"
        "done = ingest([Path(sys.argv[1])], Path(sys.argv[2]), Spec(source='s', category='psychology'))\n"
        "peak = re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]\n"  # ru_maxrss would be the parent's at the fork
        "print(done.books.kept, done.books.rejected, int(peak) // 1024)"
    )
    told = subprocess.run([sys.executable, "-c", code, str(path), str(tmp_path / "out")], capture_output=True, text=True, check=True).stdout
    kept, rejected, peak = map(int, told.split())
    assert (kept, rejected) == (20_001, 1)
    assert path.stat().st_size > 100_000_000
    assert peak < 200
