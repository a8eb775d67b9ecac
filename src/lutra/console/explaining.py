"""What a search did, as a picture: a lane for each part of the index, what was predicted beside what it came to.

It is made of the explanation of `lutra.search.explanation` and of nothing else; ``templates/_explanation.html`` draws
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

Text = Callable[..., str]
"""Gives a message in the language of a page: `lutra.console.request.ConsoleRequest.text`."""
_Told = Mapping[str, Any]

_CONDITIONS_MAX: Final = 200
"""Of a lane: a query may have a thousand clauses, which nobody reads."""
_NAME_LETTERS: Final = 8
_OPERAND_LETTERS: Final = 120
_NO_OPERANDS: Final = frozenset(
    ["query", "estimate", "rows", "us", "scans", "predicted_us", "predicted", "sampled", "weight", "functions"]
)
"""Of what a condition tells."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure. Shares are of the greatest of this figure in the whole picture, 0 to 1."""

    name: str
    unit: str
    """``us``, ``bytes`` or ``count``."""
    predicted: float | None
    """None: nothing was."""
    actual: float
    predicted_share: float = 0.0
    actual_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Recall:
    """What share of the true neighbours is found: known in three ways, each None where it is not known."""

    predicted: float | None
    """What the effort that was planned came to when the segment was built."""
    checked: float | None
    """What the build's check of searches for ten neighbours found."""
    nearest: int | None
    """Of this search's true neighbours so many are of this part,"""
    found: int | None
    """and so many of these were found."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What one KNN query took in one part."""

    field: str
    strategy: str
    why: tuple[str, ...]
    qualifying: int | None
    """Rows that pass the filter and live; None where nothing was looked for."""
    qualifying_share: float
    """Of the part's rows."""
    candidates: int
    """Compared exactly."""
    found: int
    """Among the neighbours of all parts."""
    recall: Recall
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One condition of the query, in one part."""

    depth: int
    role: str
    """``must``, ``filter``, … in the condition around it; empty at the root."""
    kind: str
    operands: str
    estimate: int
    rows: int | None
    """None: they did not have to be listed."""
    us: float
    estimate_share: float
    """Of the documents of the part, 0 to 1."""
    rows_share: float


@dataclass(frozen=True, slots=True)
class Lane:
    """One part of the index."""

    title: str
    kind: str
    size_bytes: int
    documents: int
    rows: int
    share: float
    """Of all rows of the index."""
    us: float
    us_share: float
    """Of the greatest of all lanes."""
    strategy: str
    why: tuple[str, ...]
    """Where there are no ``neighbours``, which tell theirs."""
    neighbours: tuple[Neighbours, ...]
    conditions: tuple[Line, ...]
    conditions_left_out: int


@dataclass(frozen=True, slots=True)
class ExplanationPicture:
    us: float
    rows: int
    distances: int
    reads: int
    bytes: int
    nearest: int | None
    """True neighbours, where recall was sampled,"""
    found: int | None
    """and how many of these were found."""
    lanes: tuple[Lane, ...]
    """The largest first."""
    aggregations_us: float | None


def picture_of(explanation: Mapping[str, Any], text: Text) -> ExplanationPicture:
    """Of `SearchStats.explanation`, in the language that ``text`` speaks."""
    parts = sorted(explanation["parts"], key=lambda part: -part["rows"])
    rows = sum(part["rows"] for part in parts)
    lanes = _scaled([_PartPicture(part, text).lane(rows) for part in parts])
    recalls = [one.recall for lane in lanes for one in lane.neighbours]
    is_sampled = any(recall.nearest is not None for recall in recalls)
    aggregations = explanation.get("aggregations")
    return ExplanationPicture(
        us=explanation["us"],
        rows=rows,
        distances=sum(part["distances"] for part in parts),
        reads=sum(part["reads"] for part in parts),
        bytes=sum(part["bytes"] for part in parts),
        nearest=sum(recall.nearest or 0 for recall in recalls) if is_sampled else None,
        found=sum(recall.found or 0 for recall in recalls) if is_sampled else None,
        lanes=lanes,
        aggregations_us=None if aggregations is None else aggregations["us"],
    )


class _PartPicture:
    """The lane of one part."""

    def __init__(self, part: _Told, text: Text) -> None:
        self._part = part
        self._text = text
        self._tree = list(_tree(part))
        self._knn = [one for _, _, one in self._tree if "scans" in one]

    def lane(self, rows: int) -> Lane:
        """``rows``: of the index."""
        part, text = self._part, self._text
        neighbours = tuple(map(self._neighbours, self._knn))
        name = part.get("name", "").rpartition("/")[2][:_NAME_LETTERS]
        lines = [_line(depth, role, one, part["documents"]) for depth, role, one in self._tree[:_CONDITIONS_MAX]]
        return Lane(
            title=text("Segment {name}", name=name) if name else text("Rows in memory"),
            kind=self._kind(),
            size_bytes=part["size_bytes"],
            documents=part["documents"],
            rows=part["rows"],
            share=_share(part["rows"], rows),
            us=part["us"],
            us_share=0.0,
            strategy=neighbours[0].strategy if neighbours else self._listed_strategy(),
            why=() if neighbours else (self._why_listed(),),
            neighbours=neighbours,
            conditions=tuple(lines),
            conditions_left_out=len(self._tree) - len(lines),
        )

    def _kind(self) -> str:
        text = self._text
        if self._part["kind"] == "buffer":
            return text("buffer in memory")
        kinds = {one["predicted"]["kind"] for one in self._knn if "predicted" in one}
        names = {"flat": text("flat vectors"), "codes": text("codes"), "graph": text("codes and graph")}
        return names[kinds.pop()] if len(kinds) == 1 else text("segment on disk")

    def _listed_strategy(self) -> str:
        text = self._text
        is_ranked = self._part["strategy"] == "block_max"
        return text("best blocks of postings") if is_ranked else text("columns and postings")

    def _why_listed(self) -> str:
        part, text = self._part, self._text
        if not part["rows"]:
            return text("There are no rows here.")
        if part["strategy"] == "block_max":
            return text("Only the best are wanted: blocks of postings that cannot hold them were skipped.")
        if part["query"]["query"] == "match_all" and "filter" not in part:
            return text("All rows match: nothing had to be looked up.")
        return text("Conditions were looked up in columns and postings, the rarest first.")

    # --- neighbours ---------------------------------------------------------------------------------------------

    def _neighbours(self, knn: _Told) -> Neighbours:
        part, text, scans = self._part, self._text, knn["scans"]
        predicted, sampled = knn.get("predicted", {}), knn.get("sampled", {})
        predicted_us = knn["predicted_us"][predicted["strategy"]] if predicted else None
        figures = (
            (text("time"), "us", predicted_us, "us"),
            (text("distances"), "count", predicted.get("distances"), "distances"),
            (text("reads"), "count", predicted.get("reads"), "reads"),
            (text("bytes read"), "bytes", predicted.get("bytes"), "bytes"),
        )
        qualifying = scans[0]["qualifying"] if scans else None
        expected = 1.0 if scans and not predicted else predicted.get("recall")  # what is in memory is compared exactly
        return Neighbours(
            field=knn["field"],
            strategy=self._strategy(knn),
            why=tuple(self._why(knn)),
            qualifying=qualifying,
            qualifying_share=_share(qualifying or 0, part["rows"]),
            candidates=sum(scan["compared"] for scan in scans),
            found=knn["estimate"],
            recall=Recall(expected, part.get("recall"), sampled.get("nearest"), sampled.get("found")),
            bars=tuple(Bar(name, unit, of, sum(scan[key] for scan in scans)) for name, unit, of, key in figures),
        )

    def _strategy(self, knn: _Told) -> str:
        text, scans = self._text, knn["scans"]
        if not scans:
            return text("nothing to look for")
        filtered = {
            "exact": text("filter first, compare what passes"),
            "brute_force": text("filter first, compare what passes"),
            "code_scan": text("filter first, scan the codes that pass"),
            "walk": text("walk of the graph under the filter"),
            "node_walk": text("walk of the graph on disk under the filter"),
            "list_scan": text("scan of the nearest lists' codes that pass"),
            "post_filter": text("walk of the graph, then the filter on what it came by"),
        }
        return (filtered if "filter" in knn else self._ways())[scans[-1]["strategy"]]

    def _ways(self) -> dict[str, str]:
        """What strategies are called, by their names."""
        text = self._text
        return {
            "exact": text("comparing all in memory"),
            "brute_force": text("comparing all"),
            "code_scan": text("scan of the codes"),
            "walk": text("walk of the graph"),
            "node_walk": text("walk of the graph on disk"),
            "list_scan": text("scan of the codes of the nearest lists"),
        }

    def _why(self, knn: _Told) -> Iterator[str]:
        """Why neighbours were looked for as they were."""
        part, text, scans = self._part, self._text, knn["scans"]
        if not scans:
            yield text("No row here passes the filter.") if part["rows"] else text("There are no rows here.")
            return
        if scans[0].get("checked"):
            yield text("To list what passes the filter takes longer than to check what is near.")
            return
        if "predicted" not in knn:
            yield text("Rows in memory have no codes or graph yet: all that qualify are compared.")
            return
        yield self._why_planned(knn["predicted_us"])
        if knn["predicted"]["strategy"] != scans[-1]["strategy"]:
            yield text("It went on in another way: what qualifies lay farther away than the plan allowed for.")
        if part.get("exact_rows"):
            count = part["exact_rows"]
            yield text("{count} rows that codes do not describe are compared in every search.", count=count)
        if len(scans) > 1:
            yield text("It was asked {count} times, as more rows were needed.", count=len(scans))

    def _why_planned(self, us: Mapping[str, float]) -> str:
        text, fallback, ways = self._text, self._part.get("fallback", ""), self._ways()
        if fallback == "exact":
            return text("The build found that codes tell too little of these vectors: all are compared.")
        if fallback == "scan":
            return text("The build found that walks of this graph miss too much: codes are scanned instead.")
        chosen, *others = sorted(us, key=lambda name: us[name])
        if not others:
            return text("There are so few vectors that reading all of them is quickest.")
        return text(
            "Predicted: {way} {us} µs, {other} {other_us} µs. The quickest was chosen.",
            way=ways[chosen],
            us=round(us[chosen]),
            other=ways[others[0]],
            other_us=round(us[others[0]]),
        )


def _line(depth: int, role: str, one: _Told, documents: int) -> Line:
    operands = ", ".join(f"{name} {_shown(value)}" for name, value in one.items() if _is_operand(name, value))
    return Line(
        depth=depth,
        role=role,
        kind=one["query"],
        operands=operands if len(operands) <= _OPERAND_LETTERS else operands[: _OPERAND_LETTERS - 1] + "…",
        estimate=one["estimate"],
        rows=one["rows"],
        us=one["us"],
        estimate_share=_share(one["estimate"], documents),
        rows_share=_share(one["rows"] or 0, documents),
    )


def _shown(value: object) -> str:
    return " | ".join(map(str, value)) if isinstance(value, list) else str(value)


def _is_operand(name: str, value: object) -> bool:
    return name not in _NO_OPERANDS and not _within(value)


def _tree(part: _Told) -> Iterator[tuple[int, str, _Told]]:
    """Depth, role and condition: each condition of a part, the one around it first."""
    waiting = [(0, name, part[name]) for name in ("filter", "query") if name in part]
    while waiting:
        depth, role, one = waiting.pop()
        yield depth, "" if role == "query" else role, one
        inner = [(depth + 1, name, below) for name, value in one.items() for below in _within(value)]
        waiting += reversed(inner)


def _within(value: object) -> list[_Told]:
    """The conditions that a value of a condition is made of."""
    if isinstance(value, Mapping):
        return [value] if "query" in value else _within(list(value.values()))
    if isinstance(value, list):
        return [inner for one in value if isinstance(one, Mapping) for inner in _within(one)]
    return []


def _scaled(lanes: Sequence[Lane]) -> tuple[Lane, ...]:
    """With the shares that take all lanes to know."""
    most_us = max((lane.us for lane in lanes), default=0.0)
    most: dict[str, float] = {}
    for bar in (bar for lane in lanes for one in lane.neighbours for bar in one.bars):
        most[bar.name] = max(most.get(bar.name, 0.0), bar.actual, bar.predicted or 0.0)

    def scaled(bar: Bar) -> Bar:
        of = most[bar.name]
        return replace(bar, predicted_share=_share(bar.predicted or 0.0, of), actual_share=_share(bar.actual, of))

    return tuple(
        replace(
            lane,
            us_share=_share(lane.us, most_us),
            neighbours=tuple(replace(one, bars=tuple(map(scaled, one.bars))) for one in lane.neighbours),
        )
        for lane in lanes
    )


def _share(part: float, whole: float) -> float:
    return min(1.0, part / whole) if whole > 0 else 0.0
