"""The performance figures: taken from samples and ledger, `None` where nothing was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pixel_synth.cli import main
from pixel_synth.publish.performance import active_seconds, moments, prefix_hits, samples
from pixel_synth.publish.report import performance
from pixel_synth.runs.gauge import counters

PAGE = """# HELP vllm:num_requests_running Number of requests
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 4.0
vllm:prefix_cache_queries_total{engine="0"} 1.5e+03
vllm:prefix_cache_hits_total{engine="0"} 600
vllm:something_else_total 9
"""


def at(second: float, worker: int = 1, flying: int = 0, **servers: dict[str, float]) -> dict[str, Any]:
    return {"at": second, "worker": worker, "in_flight": flying, "servers": servers}


def test_counters_are_added_up_over_engines_and_strange_ones_left_out() -> None:
    assert counters(PAGE) == {"running": 7.0, "prefix_queries": 1500.0, "prefix_hits": 600.0}
    assert counters("not a page") == {}


def test_pauses_between_starts_are_no_active_time() -> None:
    assert active_seconds([at(0), at(2), at(4), at(500), at(501)]) == 5
    assert active_seconds([]) == 0


def test_calls_in_flight_are_added_up_over_workers_and_a_silent_one_is_forgotten() -> None:
    assert moments([at(0, 1, 5), at(1, 2, 7), at(30, 2, 6)]) == [(0, 5), (1, 12), (30, 6)]


def test_the_prefix_hit_rate_is_what_happened_during_the_run_also_when_a_server_is_started_anew() -> None:
    def told(queries: float, hits: float) -> dict[str, float]:
        return {"prefix_queries": queries, "prefix_hits": hits}

    found = [at(0, a=told(100, 100)), at(2, a=told(200, 150)), at(4, a=told(10, 0)), at(6, a=told(110, 90))]
    assert prefix_hits(found) == pytest.approx((50 + 90) / 200)
    assert prefix_hits([at(0), at(2)]) is None
    assert prefix_hits([]) is None


def test_a_torn_sample_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps(at(5)) + "\n" + json.dumps(at(3)) + '\n{"at": 7, "wor')
    assert [s["at"] for s in samples(path)] == [3, 5]
    assert samples(tmp_path / "none.jsonl") == []


def test_a_run_without_a_server_says_what_was_not_measured(finished_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads((finished_run / "performance.json").read_text())
    assert found["tokens_in"] is None
    assert found["tokens_per_s"] is None
    assert found["server_prefix_hits"] is None
    assert found["gpu_hours"] is None
    assert found["in_flight_most"] is None
    books = json.loads((finished_run / "report.json").read_text())["books"]
    assert {p["part"]: p["calls"] for p in found["parts"]}["scenario"] == books["planned"]
    assert found["calls"] == sum(p["calls"] for p in found["parts"])
    assert found["slowest"] in found["stages_s"]
    assert main(["perf", str(finished_run)]) == 0
    told = capsys.readouterr().out
    assert "not counted by this engine" in told
    assert f"**{found['slowest']}**" in told
    assert performance(found) == told


def test_performance_is_no_part_of_the_manifest(finished_run: Path) -> None:
    files = json.loads((finished_run / "manifest.json").read_text())["files"]
    assert not [name for name in files if "performance" in name]
