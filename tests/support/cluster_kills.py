"""kill -9 of whatever a cluster consists of, under load: rows that are written, and rows that are searched.

Some rows are written and read all the time, and what was seen of them has to be explained (`support.row_load`). Others
stay as they are: every search among them is to give what a plain model gives, or an error, at any time.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tablestore as ots
from support.endpoint_load import LOST, Connect, EndpointLoad, Unavailable
from support.node_cluster import NodeCluster
from support.row_load import RowLoad, state_of
from support.sdk import create_split
from support.waiting import wait_until

ROWS_TABLE: Final = "written"
STEADY_TABLE: Final = "steady"
INDEX: Final = "search"
KEYS: Final = tuple(f"k{number:02}" for number in range(24))
STEADY: Final = 300
_DIMENSION: Final = 8
_COLOURS: Final = ("red", "green", "blue", "grey")
_WORDS: Final = ("otter", "river", "stone", "willow", "trout")


@dataclass(frozen=True)
class SteadyRow:
    id: str
    number: int
    colour: str
    words: str
    vector: np.ndarray[Any, np.dtype[np.float32]]


def steady_rows(seed: int = 0) -> list[SteadyRow]:
    """The same for a seed."""
    rng, draw = random.Random(seed), np.random.default_rng(seed)
    return [
        SteadyRow(
            f"s{number:04}",
            number,
            rng.choice(_COLOURS),
            " ".join(rng.choice(_WORDS) for _ in range(4)),
            draw.normal(size=_DIMENSION).astype(np.float32),
        )
        for number in range(STEADY)
    ]


def make_tables(client: ots.OTSClient, rows: Sequence[SteadyRow]) -> None:
    """Of four partitions each; the steady one has its rows and a search index when this returns."""
    for table, splits in ((ROWS_TABLE, ["k06", "k12", "k18"]), (STEADY_TABLE, ["s0070", "s0150", "s0220"])):
        create_split(client, table, ("id", "STRING"), splits)
    options = ots.VectorOptions(ots.VectorDataType.VD_FLOAT_32, ots.VectorMetricType.VM_EUCLIDEAN, _DIMENSION)
    fields = [
        ots.FieldSchema("number", ots.FieldType.LONG, enable_sort_and_agg=True),
        ots.FieldSchema("colour", ots.FieldType.KEYWORD, enable_sort_and_agg=True),
        ots.FieldSchema("words", ots.FieldType.TEXT, analyzer=ots.AnalyzerType.SINGLEWORD),
        ots.FieldSchema("vector", ots.FieldType.VECTOR, vector_options=options),
    ]
    client.create_search_index(STEADY_TABLE, INDEX, ots.SearchIndexMeta(fields))
    client.create_search_index(
        ROWS_TABLE,
        INDEX,
        ots.SearchIndexMeta([ots.FieldSchema("number", ots.FieldType.LONG, enable_sort_and_agg=True)]),
    )
    for row in rows:
        columns = [("number", row.number), ("colour", row.colour), ("words", row.words)]
        vector = bytearray(row.vector.tobytes())
        client.put_row(STEADY_TABLE, ots.Row([("id", row.id)], [*columns, ("vector", vector)]))


class Incomplete(Unavailable):
    """An answer that says itself that some partitions are missing: those that were away for as long as it had time."""


class SteadySearches(EndpointLoad):
    """Threads that search among rows that stay as they are, and compare."""

    pause_s = 0.05

    def __init__(self, connects: Sequence[Connect], rows: Sequence[SteadyRow], seed: int) -> None:
        super().__init__(connects, seed)
        self.rows = rows
        self.answered = 0
        self.codes: Counter[str] = Counter()
        """Of those that failed."""

    def start(self, threads: int = 2) -> None:
        for number in range(threads):
            self.begin(self._search, number)

    def wait_for(self, count: int, within_s: float) -> float:
        """Returns once so many more searches are answered: the seconds it took. Raises AssertionError."""
        return self.wait_for_more(lambda: self.answered, count, within_s, lambda: f"{count} searches: {self.codes}")

    def note(self, error: Exception) -> None:
        self.codes[error.get_error_code() if isinstance(error, ots.OTSServiceError) else type(error).__name__] += 1

    def _search(self, client: ots.OTSClient, rng: random.Random) -> None:
        rng.choice((self._of_colour, self._near, self._counted, self._sorted, self._with_words))(client, rng)
        self.answered += 1

    def _found(self, client: ots.OTSClient, query: Any, **how: Any) -> Any:
        asked = ots.SearchQuery(query, limit=how.pop("limit", 100), get_total_count=True, **how)
        answer = client.search(STEADY_TABLE, INDEX, asked, ots.ColumnsToGet(return_type=ots.ColumnReturnType.NONE))
        if not answer.is_all_succeed:
            raise Incomplete
        return answer

    def _of_colour(self, client: ots.OTSClient, rng: random.Random) -> None:
        colour = rng.choice(_COLOURS)
        answer = self._found(client, ots.TermQuery("colour", colour))
        wanted = [row.id for row in self.rows if row.colour == colour]
        assert (answer.total_count, _ids(answer)) == (len(wanted), wanted[:100]), f"colour {colour}"

    def _near(self, client: ots.OTSClient, rng: random.Random) -> None:
        to = rng.choice(self.rows)
        answer = self._found(client, ots.KnnVectorQuery("vector", 5, to.vector.tolist()), limit=5, sort=_BY_SCORE)
        distances = [(float(((row.vector - to.vector) ** 2).sum()), row.id) for row in self.rows]
        wanted = [row_id for _, row_id in sorted(distances)[:5]]
        assert _ids(answer) == wanted, f"near {to.id}: {_ids(answer)} and not {wanted}"

    def _counted(self, client: ots.OTSClient, rng: random.Random) -> None:
        begin = rng.randrange(STEADY)
        answer = self._found(
            client,
            ots.RangeQuery("number", begin, STEADY, include_lower=True, include_upper=False),
            limit=0,
            aggs=[ots.Sum("number", name="sum")],
            group_bys=[ots.GroupByField("colour", name="colours", size=10)],
        )
        rows = [row for row in self.rows if row.number >= begin]
        groups = {item.key: item.row_count for item in answer.group_by_results[0].items}
        wanted = {colour: sum(row.colour == colour for row in rows) for colour in _COLOURS}
        assert answer.total_count == len(rows)
        assert answer.agg_results[0].value == sum(row.number for row in rows)
        assert groups == {colour: count for colour, count in wanted.items() if count}

    def _sorted(self, client: ots.OTSClient, rng: random.Random) -> None:
        offset = rng.randrange(50)
        sort = ots.Sort(sorters=[ots.FieldSort("number", sort_order=ots.SortOrder.DESC)])
        answer = self._found(client, ots.MatchAllQuery(), limit=20, offset=offset, sort=sort)
        wanted = [row.id for row in reversed(self.rows)][offset : offset + 20]
        assert (_ids(answer), answer.total_count) == (wanted, STEADY), f"sorted from {offset}"

    def _with_words(self, client: ots.OTSClient, rng: random.Random) -> None:
        word = rng.choice(_WORDS)
        answer = self._found(client, ots.MatchQuery("words", word), sort=_BY_SCORE)
        wanted = [row for row in self.rows if word in row.words.split()]
        assert answer.total_count == len(wanted), f"word {word}: {answer.total_count} of {len(wanted)}"
        counts = {row.id: row.words.split().count(word) for row in wanted}
        found = [counts[row_id] for row_id in _ids(answer)]
        assert found == sorted(counts.values(), reverse=True)[: len(found)], f"word {word}: not by score"


_BY_SCORE: Final = ots.Sort(sorters=[ots.ScoreSort(sort_order=ots.SortOrder.DESC)])


def _ids(answer: Any) -> list[str]:
    return [key[0][1] for key, _ in answer.rows]


@dataclass(frozen=True)
class Round:
    """What one kill came to. ``resumed_s``: until writes were acknowledged again, in all partitions."""

    killed: str
    resumed_s: float
    operations: int
    writes: int
    unknown: int
    searches: int
    searches_failed: int


class KillRounds:
    """Rounds of load, each with a kill in it. ``victims``: what can be killed, by what it is called."""

    def __init__(self, cluster: NodeCluster, victims: dict[str, Callable[[], None]], seed: int) -> None:
        """``victims``: kill it, and have it be there again, now or soon."""
        self.cluster = cluster
        self.rounds: list[Round] = []
        self._victims = victims
        self._rng = random.Random(seed)
        self._seed = seed
        self._rows = steady_rows()
        self._state: dict[str, int] = {}
        make_tables(cluster.client(), self._rows)
        cluster.wait_serving()
        self._wait_searchable()

    def run(self, resumes_within_s: float) -> Round:
        """One round. Raises AssertionError where anything is lost or wrong, or takes longer."""
        number = len(self.rounds)
        connects = [lambda at=at: self.cluster.client(at) for at in range(len(self.cluster.nodes))]
        load = RowLoad(connects, ROWS_TABLE, KEYS, self._seed * 10_000 + number, self._state)
        searches = SteadySearches(connects, self._rows, self._seed * 10_000 + number)
        load.start()
        searches.start()
        load.wait_for_writes(self._rng.randrange(10, 60), 60)
        victim = self._rng.choice(sorted(self._victims))
        self._victims[victim]()
        resumed_s = self._until_all_write(resumes_within_s)
        searches.wait_for(3, 60)
        load.wait_for_writes(10, 60)
        load.wait_for_reads(10, 60)
        load.stop()
        searches.stop()
        for node in self.cluster.nodes:  # one that is killed may be on its way back
            node.wait_joined()
        time.sleep(0.2)  # what is under way in a node although nobody waits for it
        self._state = state_of(self.cluster.client(self._alive()), ROWS_TABLE)
        load.check(self._state)
        done = Round(
            victim,
            resumed_s,
            len(load.history.units),
            load.writes.answered,
            load.writes.unknown,
            searches.answered,
            searches.codes.total(),
        )
        self.rounds.append(done)
        return done

    def check_searched(self) -> None:
        """The index of the rows that are written has what they have, soon. Raises AssertionError."""
        wait_until(
            lambda: self._searched() == self._state,
            told=lambda: f"the index has {self._searched()}, and the table {self._state}",
        )

    def _searched(self) -> dict[str, int]:
        query = ots.SearchQuery(ots.MatchAllQuery(), limit=100)
        columns = ots.ColumnsToGet(return_type=ots.ColumnReturnType.ALL_FROM_INDEX)
        answer = self.cluster.client(self._alive()).search(ROWS_TABLE, INDEX, query, columns)
        return {key[0][1]: {name: value for name, value, *_ in columns}["number"] for key, columns in answer.rows}

    def _until_all_write(self, within_s: float) -> float:
        """The seconds until a row of each partition can be written."""
        began_s = time.monotonic()
        for key in ("a", "k07", "k13", "z"):
            while True:
                why = self._not_written(f"{key}-probe")
                if why is None:
                    break
                took_s = time.monotonic() - began_s
                assert took_s < within_s, f"writes of {key} do not resume within {within_s} s: {why}"
                time.sleep(0.02)
        return time.monotonic() - began_s

    def _not_written(self, key: str) -> Exception | None:
        """Why a row cannot be put and deleted; None where it could."""
        client = self.cluster.client(self._rng.randrange(len(self.cluster.nodes)))
        try:
            client.put_row(ROWS_TABLE, ots.Row([("id", key)], [("number", 0)]))
            client.delete_row(ROWS_TABLE, ots.Row([("id", key)]))
        except (*LOST, ots.OTSServiceError) as error:
            return error
        return None

    def _alive(self) -> int:
        return next(at for at, node in enumerate(self.cluster.nodes) if node.is_running)

    def _wait_searchable(self) -> None:
        client = self.cluster.client()
        query = ots.SearchQuery(ots.MatchAllQuery(), limit=0, get_total_count=True)
        wait_until(lambda: client.search(STEADY_TABLE, INDEX, query).total_count == STEADY)
