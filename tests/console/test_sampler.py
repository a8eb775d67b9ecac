"""What the sampler notes of a real engine is what the engine does; it stops, and keeps no more than its rings."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.waiting import wait_until

import lutra
from lutra.console import sampler as sampling
from lutra.console.figures import ALL, INDEXES_MAX, index_figures, indexes_of, resident_bytes
from lutra.console.nodes import ThisNode, disk_use
from lutra.console.sampler import PERIOD_S, RESOLUTIONS, Sampler
from lutra.console.status_charts import LINES_MAX, index_charts, operations_of, server_charts
from lutra.instance.engine import Engine
from lutra.model.clock import SystemClock
from lutra.server.observe.engine_metrics import engine_collectors
from lutra.server.observe.metrics import Metrics

ROWS = 2_000
DIMENSION = 32


def text(message: str, **values: object) -> str:
    return message.format(**values)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with an index of one segment with codes, and a few rows beside it."""
    rng = np.random.default_rng(0)
    with lutra.connect(tmp_path_factory.mktemp("sampler") / "data", instance="test") as db:
        table = db.create_table("t", key={"id": int}, fields={"n": int, "v": lutra.Vector(DIMENSION)})
        table.put_many({"id": n, "n": n, "v": rng.standard_normal(DIMENSION)} for n in range(ROWS))
        db._open().wait_searchable("t", "search", 60)
        (feed,) = db._engine.partition.feeder._feeds
        feed.index.flush()
        feed.index.compact()
        table.put({"id": ROWS, "n": 1, "v": rng.standard_normal(DIMENSION)})
        db._open().wait_searchable("t", "search", 60)
        yield db._engine


def test_figures_are_those_of_the_engine(engine: Engine) -> None:
    sampler = Sampler(engine, Metrics(engine_collectors(engine, SystemClock())))
    sampler.tick(1_000.0)
    window = sampler.ring("hour").window()
    assert window.times_s.tolist() == [1_000.0]
    now = {name: float(series[-1]) for name, series in window.series.items()}
    ((of),) = indexes_of(engine)
    stats = of.answering.stats
    assert stats.segments
    assert now["rows/test/t/search"] == now["index_rows"] == ROWS + 1
    assert now["segments/test/t/search"] == len(stats.segments)
    assert now["memory/codes"] == stats.resident_bytes - stats.graph_bytes > 0
    assert now["memory/graphs"] == stats.graph_bytes
    assert now["memory/buffers"] == stats.buffer_bytes > 0
    assert now["memory/RocksDB"] > 0
    assert now["memory/process"] == pytest.approx(resident_bytes(), rel=0.2)
    assert now["bytes/test/t/search"] == sum(stats.bytes_by_class.values())
    assert now["lag_ms/test/t/search"] == 0
    assert sampler.cost_us > 0


def test_requests_are_counted_from_one_time_to_the_next(engine: Engine) -> None:
    metrics = Metrics(engine_collectors(engine, SystemClock()))
    sampler = Sampler(engine, metrics)
    sampler.tick(0.0)
    for _ in range(30):
        metrics.of("GetRow").count(200, "", 0.002, 1, 1)
    for _ in range(10):
        metrics.of("Search").count(200, "", 0.2, 1, 1)
    sampler.tick(5.0)
    for _ in range(5):
        metrics.of("GetRow").count(200, "", 0.002, 1, 1)
    sampler.tick(10.0)
    series = sampler.ring("hour").window().series
    assert series["requests/GetRow"].tolist()[1:] == [6, 1]
    assert series["requests/Search"].tolist()[1:] == [2, 0]
    assert series[f"requests/{ALL}"].tolist()[1:] == [8, 1]
    assert 1 <= series["p50_ms/GetRow"][1] <= 2.5
    assert 100 <= series["p99_ms/Search"][1] <= 250
    assert np.isnan(series["p99_ms/Search"][2]), "nobody searched"
    assert 100 <= series[f"p95_ms/{ALL}"][1] <= 250


def test_a_day_is_noted_more_rarely_and_counts_all_between(engine: Engine) -> None:
    metrics = Metrics(engine_collectors(engine, SystemClock()))
    sampler = Sampler(engine, metrics)
    for step in range(49):
        metrics.of("PutRow").count(200, "", 0.001, 1, 1)
        sampler.tick(step * PERIOD_S + (0.3 if step % 2 else -0.3))  # not on the dot, as threads are
    hour, day = (sampler.ring(one.name).window() for one in RESOLUTIONS)
    assert (len(hour.times_s), len(day.times_s)) == (49, 3)
    assert day.series["requests/PutRow"][1:].tolist() == pytest.approx([24 / 120] * 2, rel=0.02)


def test_charts_tell_what_was_noted(engine: Engine) -> None:
    metrics = Metrics(engine_collectors(engine, SystemClock()))
    sampler = Sampler(engine, metrics)
    sampler.tick(0.0)
    for number in range(LINES_MAX + 4):
        for _ in range(number + 1):
            metrics.of(f"Operation{number}").count(200, "", 0.01, 1, 1)
    sampler.tick(5.0)
    window = sampler.ring("hour").window()
    charts = {chart.key: chart for chart in server_charts(window, "Operation3", text)}
    assert [line.label for line in charts["requests"].lines[:2]] == ["all operations", "Operation11"]
    assert len(charts["requests"].lines) == LINES_MAX
    assert [line.label for line in charts["latency"].lines] == ["50 %", "95 %", "99 %"]
    assert charts["search_latency"].lines == ()
    told = charts["memory"].to_json(since=1)
    assert [line["label"] for line in told["lines"]][-1] == "whole process"
    assert all(len(line["values"]) == 1 for line in told["lines"])
    assert told["summary"][-1][0] == pytest.approx(float(window.series["memory/process"][-1]), rel=1e-4)
    operations = operations_of(window)
    assert [one["operation"] for one in operations[:2]] == [ALL, "Operation11"]
    of_index = {chart.key: chart for chart in index_charts(window, "test/t/search", text)}
    assert of_index["rows"].lines[0].now == ROWS + 1
    assert index_charts(window, "absent", text)[0].lines == ()


def test_very_many_indexes_have_no_series_of_their_own(engine: Engine) -> None:
    (of,) = indexes_of(engine)
    figures = index_figures([of] * (INDEXES_MAX + 50), 0)
    assert figures["segments"] == (INDEXES_MAX + 50) * len(of.answering.stats.segments)
    assert len({name for name in figures if name.startswith("rows/")}) == 1


def test_it_runs_until_it_is_closed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "PERIOD_S", 0.01)
    ticks = threading.Semaphore(0)

    class Counted(Sampler):
        def tick(self, time_s: float | None = None) -> None:
            super().tick(time_s)
            ticks.release()
            raise RuntimeError("one that fails does not end it")

    before = set(threading.enumerate())
    sampler = Counted(engine, Metrics(engine_collectors(engine, SystemClock())))
    sampler.start()
    for _ in range(3):
        assert ticks.acquire(timeout=60)
    sampler.close()
    wait_until(lambda: all(t.name != "lutra-console-sampler" for t in set(threading.enumerate()) - before))


def test_a_generation_that_is_filled_counts_too(engine: Engine) -> None:
    (of,) = indexes_of(engine)
    assert (of.filling, of.rows, of.is_behind) == (None, ROWS + 1, False)
    lagging = index_figures([of], 10**18)
    assert lagging["lag_ms/test/t/search"] == 0, "what lacks nothing is not behind, however long nothing was written"


def test_a_node_tells_of_its_process(engine: Engine) -> None:
    node = ThisNode(engine).node("http://127.0.0.1:8087")
    assert (node.name, node.version, node.objects) == ("127.0.0.1:8087", lutra.__version__, "local")
    assert node.memory_bytes
    assert node.disk is not None
    assert node.disk.used_bytes > 0
    assert str(engine.data_dir) not in repr(node)


def test_disk_use_is_that_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for number in range(5):
        (tmp_path / "a" / "b" / f"{number}").write_bytes(bytes(10_000))
    (tmp_path / "link").symlink_to("/")
    told: Any = disk_use(tmp_path)
    assert 50_000 <= told.used_bytes < 200_000
    assert not told.is_more
    assert told.total_bytes >= told.free_bytes > 0
    assert disk_use(tmp_path, entries_max=1).is_more  # type: ignore[union-attr]
    assert disk_use(tmp_path / "absent") is None
