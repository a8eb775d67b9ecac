"""How the server is, now and over time; and one search index, segment by segment."""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np
from starlette.exceptions import HTTPException
from starlette.responses import Response

from lutra.console.figures import ALL, IndexFigures, indexes_of
from lutra.console.history import Window
from lutra.console.request import ConsoleRequest
from lutra.console.routing import page
from lutra.console.sampler import PERIOD_S, RESOLUTIONS
from lutra.console.status_charts import StatusChart, index_charts, operations_of, server_charts
from lutra.instance.open_indexes import GenerationStats
from lutra.model.errors import ObjectNotExist
from lutra.server.protocol.operations import OPERATIONS


def show(asked: ConsoleRequest) -> Response:
    window = _window(asked)
    now_us = int(time.time() * 1e6)
    return asked.render(
        "status.html",
        nodes=[asked.services.node.node(_endpoint(asked))],
        indexes=[_index_line(of, now_us) for of in indexes_of(asked.engine)],
        charts=server_charts(window, _operation(asked), asked.text),
        operations=operations_of(window),
        operation=_operation(asked),
        history=asked.url("status_history"),
        sampling=asked.services.sampler,
        **_chosen(asked),
    )


def show_index(asked: ConsoleRequest) -> Response:
    of = _index(asked)
    return asked.render(
        "index_status.html",
        of=of,
        generations=[_generation(one, of) for one in of.generations],
        lag_ms=of.lag_ms(int(time.time() * 1e6)),
        charts=index_charts(_window(asked), of.name, asked.text),
        history=asked.url("index_history", **asked.path),
        **_chosen(asked),
    )


def history(asked: ConsoleRequest) -> Response:
    window = _window(asked)
    return _answer(asked, window, server_charts(window, _operation(asked), asked.text))


def index_history(asked: ConsoleRequest) -> Response:
    window = _window(asked)
    return _answer(asked, window, index_charts(window, _index(asked).name, asked.text))


def _answer(asked: ConsoleRequest, window: Window, charts: list[StatusChart]) -> Response:
    """What came after the time ``since``, or all."""
    since_s = _since_s(asked)
    first = int(np.searchsorted(window.times_s, since_s, side="right"))
    return asked.json(
        {
            "times": [round(float(one), 1) for one in window.times_s[first:]],
            "charts": [chart.to_json(first) for chart in charts],
        }
    )


def _since_s(asked: ConsoleRequest) -> float:
    try:
        return float(asked.query.get("since", "0"))
    except ValueError:
        raise HTTPException(400) from None


def _range(asked: ConsoleRequest) -> str:
    names = [one.name for one in RESOLUTIONS]
    chosen = asked.query.get("range", names[0])
    return chosen if chosen in names else names[0]


def _operation(asked: ConsoleRequest) -> str:
    chosen = asked.query.get("operation", ALL)
    return chosen if chosen in OPERATIONS else ALL


def _window(asked: ConsoleRequest) -> Window:
    return asked.services.sampler.ring(_range(asked)).window()


def _chosen(asked: ConsoleRequest) -> dict[str, Any]:
    every_s = next(one.every_s for one in RESOLUTIONS if one.name == _range(asked))
    return {"range": _range(asked), "every_s": every_s, "period_s": PERIOD_S}


def _endpoint(asked: ConsoleRequest) -> str:
    url = asked.request.url
    return f"{url.scheme}://{url.netloc}"


def _index(asked: ConsoleRequest) -> IndexFigures:
    """Raises ObjectNotExist."""
    table, index = asked.path["table"], asked.path["index"]
    if (table, index) not in asked.instance.list_search_indexes(None):
        raise ObjectNotExist(asked.text("There is no search index {index} of table {table}.", index=index, table=table))
    generations = tuple(asked.instance.index_generations(table, index))
    return IndexFigures(asked.instance.name, table, index, generations)


def _index_line(of: IndexFigures, now_us: int) -> dict[str, Any]:
    """One index in the table of all."""
    stats, filling = of.answering.stats, of.filling
    return {
        "of": of,
        "segments": len(stats.segments),
        "awaited": stats.awaited,
        "merges": sum(one.stats.merges for one in of.generations),
        "buffer_rows": stats.buffer_rows,
        "memory_bytes": stats.resident_bytes + stats.buffer_bytes,
        "lag_ms": of.lag_ms(now_us),
        "is_first_filled": of.answering.watermarks.searchable < 0,
        "filled_share": None if filling is None else filled_share(filling, of.answering),
        "error": next((one.error for one in of.generations if one.error), None),
    }


def filled_share(filling: GenerationStats, answering: GenerationStats) -> float:
    """About how much of the rows a generation has that is filled beside another."""
    rows = answering.watermarks.rows
    return min(1.0, filling.watermarks.rows / rows) if rows else 0.0


def _generation(one: GenerationStats, of: IndexFigures) -> dict[str, Any]:
    """One generation on the page of its index."""
    added, dropped = ([], []) if one.is_answering else of.answering.definition.field_changes(one.definition)
    return {
        "of": one,
        "stats": one.stats,
        "marks": one.watermarks,
        "is_filled": one.watermarks.searchable >= 0,
        "added": added,
        "dropped": dropped,
        "share": 1.0 if one.is_answering else filled_share(one, of.answering),
        "segments": sorted(one.stats.segments, key=lambda segment: -segment.rows),
    }


ROUTES: Final = (
    page("/status", show, name="status"),
    page("/status/history", history, name="status_history"),
    page("/status/i/{instance}/t/{table}/{index}", show_index, name="index_status"),
    page("/status/i/{instance}/t/{table}/{index}/history", index_history, name="index_history"),
)
