"""The store of points, alerts, following, and `pixel-synth monitor` as a user calls it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixel_synth.cli import main
from pixel_synth.draw import Draw
from pixel_synth.errors import RecordError, UsageError
from pixel_synth.prove.monitor.alert import Alert, Webhook, keep
from pixel_synth.prove.monitor.alert import read as read_alerts
from pixel_synth.prove.monitor.drift import Limits
from pixel_synth.prove.monitor.follow import Follow
from pixel_synth.prove.monitor.look import Options, Watches
from pixel_synth.prove.monitor.points import BINS, OTHER, VALUES, Point, Tally
from pixel_synth.prove.monitor.store import load, measured, read, record, windows
from pixel_synth.prove.monitor.table import sparkline
from pixel_synth.records import Conversation, Labels, Message, Provenance, Score


def talk(i: int, seed: int = 0, drop: float = 0.0) -> Conversation:
    value = 0.95 - drop - Draw(seed, i).below(100) / 1000
    messages = (Message(role="user", content=f"It began in March, {seed} {i}."), Message(role="assistant", content="What was that like?"))
    return Conversation(
        id=f"{seed}-{i}",
        category="mental_health",
        messages=messages,
        labels=Labels(modality=("cbt", "act", "")[i % 3]),
        scores=(Score(metric="overall", value=None, reason="no") if i % 50 == 7 else Score(metric="overall", value=value),),
        provenance=Provenance(engine="e", model="m", toolkit="0", seed=0, source=("forum", "generated")[i % 2]),
    )


def talks(n: int, seed: int = 0, drop: float = 0.0) -> Iterator[Conversation]:
    return (talk(i, seed, drop) for i in range(n))


def write(path: Path, records: Iterator[Conversation]) -> Path:
    path.write_text("".join(r.line() + "\n" for r in records))
    return path


def run_of(path: Path, seed: int, drop: float = 0.0, n: int = 200, stage: str = "04-score") -> Path:
    path.mkdir(exist_ok=True)
    record(path, stage, talks(n, seed, drop))
    return path


# -------------------------------------------------------------------------------------------------- the store


def test_points_tell_each_score_by_slice(tmp_path: Path) -> None:
    assert record(tmp_path, "04-score", talks(200)) == 200
    (window,) = windows(read(tmp_path / "metrics.jsonl"))
    points = {(p.dimension, p.value): p for p in window.points}
    values = [t.scores[0].value for t in talks(200)]
    known = [v for v in values if v is not None]
    whole = points["all", ""]
    assert (whole.n, whole.unscored) == (196, 4)
    assert whole.mean == pytest.approx(sum(known) / len(known), abs=1e-6)
    assert whole.p10 == pytest.approx(sorted(known)[19], abs=1 / BINS)
    assert sum(whole.hist.values()) == 196
    assert points["source", "forum"].n + points["source", "generated"].n == 196
    assert points["modality", "(unknown)"].n > 0
    assert {s.dimension: s.counts for s in window.shares}["source"] == {"forum": 100, "generated": 100}


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=50))
def test_every_record_is_in_the_counts(values: list[float | None]) -> None:
    tally = Tally()
    for value in values:
        tally.add({"overall": value}, {"source": "a"})
    for line in tally.lines("", "r", "s"):
        if isinstance(line, Point):
            assert line.n + line.unscored == len(values)
            assert sum(line.hist.values()) == line.n


def test_slices_without_end_are_counted_together() -> None:
    tally = Tally()
    for i in range(VALUES + 50):
        tally.add({"overall": 0.5}, {"source": f"s{i}"})
    (window,) = windows(tally.lines("", "r", "s"))
    assert window.shares[0].counts[OTHER] == 50
    assert len(window.shares[0].counts) == VALUES + 1


def test_foreign_and_torn_lines_are_passed_over_and_the_last_measuring_counts(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"t": 1, "in_flight": 3}\n')
    record(tmp_path, "04-score", talks(100))
    with path.open("ab") as file:
        file.write(path.read_bytes().splitlines()[1][:40])
    record(tmp_path, "04-score", talks(60, seed=9))
    (window,) = windows(read(path))
    assert next(p for p in window.points if p.dimension == "all").n == 58


def test_a_point_that_does_not_fit_is_named_by_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('\n{"kind": "score", "n": -1}\n')
    with pytest.raises(RecordError, match=r"metrics\.jsonl:2"):
        list(read(tmp_path / "metrics.jsonl"))


def test_a_file_is_cut_into_windows_in_order() -> None:
    found = list(measured(talks(250), "run", "file", 100))
    assert [w.window for w in found] == [1, 2, 3]
    assert [sum(w.shares[0].counts.values()) for w in found] == [100, 100, 50]
    assert [w.window for w in measured(talks(250), "run", "file")] == [0]


def test_a_run_without_points_is_measured_by_its_stages(tmp_path: Path) -> None:
    for stage in ("01-gather", "02-screen"):
        (tmp_path / "stages" / stage).mkdir(parents=True)
        write(tmp_path / "stages" / stage / "kept.jsonl", talks(40))
    assert [w.stage for w in load(tmp_path)] == ["01-gather", "02-screen"]
    assert not (tmp_path / "metrics.jsonl").exists()


def test_the_trend_is_drawn_without_making_noise_look_large() -> None:
    assert sparkline([0.2, 0.5, None, 0.8]) == "▁▅·█"
    assert set(sparkline([0.900, 0.901, 0.9005])) <= set("▄▅")
    assert sparkline([None, None]) == "··"


# -------------------------------------------------------------------------------------------------- the command


def test_a_planted_drop_raises_an_alert_and_noise_does_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, same, worse = run_of(tmp_path / "one", 1, n=600), run_of(tmp_path / "two", 2), run_of(tmp_path / "three", 3, drop=0.05)
    compare = ["--baseline", str(base), "--fail-on-alert"]
    assert main(["monitor", str(same), *compare]) == 0
    assert "no alert" in capsys.readouterr().out
    assert not (same / "alerts.jsonl").exists()
    assert main(["monitor", str(worse), *compare, "--dry-run"]) == 1
    assert not (worse / "alerts.jsonl").exists()
    assert main(["monitor", str(same), str(worse), *compare]) == 1
    out = capsys.readouterr().out
    assert "drop of overall in all, source=forum" in out
    (alert,) = read_alerts(worse / "alerts.jsonl")
    assert (alert.kind, alert.metric, alert.baseline) == ("drop", "overall", "one/04-score")
    assert main(["monitor", str(worse), "--baseline", str(base)]) == 0
    assert len(read_alerts(worse / "alerts.jsonl")) == 1, "told twice"


def test_the_trend_shows_stages_and_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_of(run_of(tmp_path / "run", 1), 2, drop=0.05, stage="05-mix")
    assert main(["monitor", str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "04-score" in lines[1]
    assert "05-mix" in lines[1]
    assert [line.split()[0] for line in lines[2:]] == ["all", "forum", "generated"]
    assert main(["monitor", str(run), "--json"]) == 0
    assert [w["stage"] for w in json.loads(capsys.readouterr().out)["windows"]] == ["04-score", "05-mix"]


def test_windows_of_a_file_are_compared_with_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    half = [*talks(400, 1), *talks(400, 2, drop=0.06)]
    path = write(tmp_path / "kept.jsonl", iter(half))
    assert main(["monitor", str(path), "--window", "200", "--fail-on-alert"]) == 1
    assert "kept/file@4: drop of overall" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("flags", "wrong"),
    [
        ([], "name runs"),
        (["RUN", "--metric", "nothing"], "no score nothing"),
        (["RUN", "--persist", "3/2"], "not K/M"),
        (["RUN", "--alpha", "2"], "--alpha"),
        (["RUN", "--window", "-1"], "--window"),
        (["RUN", "--once"], "--watch"),
        (["RUN", "--webhook", "http://example.org/x"], "https"),
    ],
)
def test_wrong_flags_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: Sequence[str], wrong: str) -> None:
    run = run_of(tmp_path / "run", 1)
    assert main(["monitor", *(str(run) if f == "RUN" else f for f in flags)]) == 2
    assert wrong in capsys.readouterr().err


# -------------------------------------------------------------------------------------------------- following


def test_following_tells_new_windows_and_alerts_once(tmp_path: Path) -> None:
    base, run = load(run_of(tmp_path / "base", 1, n=600)), tmp_path / "run"
    follow = Follow(run, Watches(base, Options(Limits())))
    assert follow.look().windows == ()
    run_of(run, 2, drop=0.05)
    assert follow.look().windows == (), "more lines may come"
    news = follow.look()
    assert [w.stage for w in news.windows] == ["04-score"]
    assert [a.kind for a in news.new] == ["drop"]
    assert follow.look() == ((), (), ())
    again = Follow(run, Watches(base, Options(Limits()))).look(last=True)
    assert [a.kind for a in again.alerts] == ["drop"]
    assert again.new == (), "posted twice"


def test_once_ends_with_the_alerts_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, run = run_of(tmp_path / "base", 1, n=600), run_of(tmp_path / "run", 2, drop=0.05)
    watch = ["monitor", "--watch", str(run), "--once", "--fail-on-alert"]
    assert main(watch) == 0
    assert main([*watch, "--baseline", str(base)]) == 1
    out = capsys.readouterr().out
    assert "run/04-score: overall 0." in out
    assert "ALERT run/04-score: drop of overall" in out


@pytest.mark.heavy
def test_ctrl_c_ends_the_following(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", 1)
    command = [sys.executable, "-m", "pixel_synth.cli", "monitor", "--watch", str(run), "--interval", "0.05"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "overall" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "stopped\n"
    assert process.returncode == 0


# -------------------------------------------------------------------------------------------------- webhooks

Posts = list[dict[str, Any]]


@pytest.fixture
def hook() -> Iterator[Callable[..., tuple[str, Posts]]]:
    """A real server on loopback that answers with the given statuses, the last one for ever."""
    servers = []

    def start(*statuses: int) -> tuple[str, Posts]:
        left, posts = list(statuses), Posts()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(left.pop(0) if len(left) > 1 else left[0])
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/secret", posts

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def alert(tmp_path_factory: pytest.TempPathFactory) -> Alert:
    watches = Watches(list(measured(talks(600, 1), "base", "s")), Options(Limits()))
    (window,) = measured(talks(200, 2, drop=0.05), "run", "s")
    return watches.see(window).alerts[0]


def test_a_webhook_that_nobody_serves_is_told(alert: Alert) -> None:
    assert "ConnectionError" in Webhook("http://127.0.0.1:9/secret", wait_s=0.01).post([alert])


def test_an_alert_is_posted_and_tried_again(hook: Callable[..., tuple[str, Posts]], alert: Alert) -> None:
    url, posts = hook(503, 429, 204)
    assert Webhook(url, wait_s=0.01).post([alert]) == ""
    assert len(posts) == 3
    assert posts[-1]["alerts"][0]["metric"] == "overall"
    assert "drop of overall" in posts[-1]["text"]


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (302, 1), (500, 3)])
def test_a_refused_alert_is_told_without_the_address(hook: Callable[..., tuple[str, Posts]], alert: Alert, status: int, tries: int) -> None:
    url, posts = hook(status)
    told = Webhook(url, wait_s=0.01).post([alert])
    assert f"status {status}" in told
    assert "secret" not in told
    assert len(posts) == tries


def test_a_webhook_that_refuses_does_not_change_the_exit_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], hook: Callable[..., tuple[str, Posts]]
) -> None:
    base, run = run_of(tmp_path / "base", 1, n=600), run_of(tmp_path / "run", 2, drop=0.05)
    assert main(["monitor", str(run), "--baseline", str(base), "--webhook", hook(404)[0]]) == 0
    said = capsys.readouterr()
    assert "did not take 1 alert: status 404" in said.err
    assert "secret" not in said.out + said.err
    assert len(read_alerts(run / "alerts.jsonl")) == 1


@pytest.mark.parametrize(
    "url", ["ftp://x/y", "http://192.168.0.1/x", "https://user:pw@host/x", "https://", "env:NOT_SET", "http://[::1", ""]
)
def test_addresses_that_may_not_be_used(url: str) -> None:
    with pytest.raises(UsageError, match="webhook"):
        Webhook(url)


def test_an_address_can_come_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", "https://hooks.example.org/services/secret")
    assert Webhook("env:HOOK").host == "hooks.example.org"


def test_alerts_of_other_parts_and_torn_lines_are_passed_over(tmp_path: Path, alert: Alert) -> None:
    (tmp_path / "alerts.jsonl").write_text('{"level": "warning"}\n' + alert.line()[:50])
    assert keep(tmp_path, [alert]) == [alert]
    assert keep(tmp_path, [alert]) == []
    assert read_alerts(tmp_path / "alerts.jsonl") == [alert]
