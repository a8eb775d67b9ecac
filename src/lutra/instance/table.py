"""A table of an embedded database."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from lutra.instance import where as filters
from lutra.instance.aggregates import Aggregate
from lutra.instance.boosts import Boosts
from lutra.instance.embedded_queries import embedded_queries
from lutra.instance.expression import Expression
from lutra.instance.field import FieldDeclaration
from lutra.instance.field_changes import with_field, without_field
from lutra.instance.first_rows import FirstRows
from lutra.instance.grouping import Grouping, GroupKey, group_orders, ordered
from lutra.instance.results import Groups, Results, Totals
from lutra.instance.search_call import SearchCall, Wanted, check_page
from lutra.instance.search_query import (
    Asked,
    OrderBy,
    TextFields,
    TextMatch,
    check_filtered,
    columns_to_get,
    nearest,
    query_of,
)
from lutra.instance.table_reader import TableReader
from lutra.instance.table_writer import TableWriter
from lutra.instance.timely import Search, Timely
from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import IndexUpdate
from lutra.model.queries import ScoreSort, SearchRequest
from lutra.model.recall_target import require_recall_target
from lutra.vectors.part import RECALL_TARGET_DEFAULT


class Table(TableWriter, TableReader):
    """Rows under one to four key columns, with declared fields and the search over them. Thread-safe.

    Values are checked and converted before anything is written; every write is on stable storage when it returns.
    """

    def __repr__(self) -> str:
        return f"Table({self.name!r}, key={list(self.key)}, fields={list(self._layout.fields)})"

    def search(
        self,
        vector: object = None,
        *,
        text: str | None = None,
        where: Expression | None = None,
        limit: int = 10,
        field: str | None = None,
        text_field: TextFields = None,
        match: TextMatch = "any",
        order_by: OrderBy = (),
        columns: Sequence[str] | None = None,
        min_score: float | None = None,
        offset: int = 0,
        collapse: str | None = None,
        records: int | None = None,
        boost: Boosts | None = None,
        recall: float | None = None,
        fresh: bool = True,
        deadline_ms: int | None = None,
        explain: bool = False,
    ) -> Results:
        """The ``limit`` rows nearest to ``vector`` among those that satisfy ``where``, nearest first.

        ``vector`` is a sequence of numbers or an array [dimension], of any float or int type; or words, a picture as
        bytes or the ``pathlib.Path`` of one, of which the field's model makes the vector (``lutra.Vector(embed=)``).
        ``field`` names the vector field where there are several. With a ``min_score``, only rows that score more than
        that are found.
        With a ``text``: the rows whose text field has ``match`` of its words (``any`` or ``all``) or has it as a
        ``phrase``, by BM25; ``text_field`` names the field where there are several, or some of them in a list: a row
        scores what the best of them does. With both: the rows that are among the nearest or have the words; the scores
        of those that are both add up.
        Without either: the rows that satisfy ``where``, by ``order_by`` (``lutra.col("year").desc()``), else by key.
        ``offset`` skips rows; a vector search reaches down to the 100,000th. ``columns`` names those to return besides
        the key.
        With ``collapse``, a column of str, int or float, only the first row of each of its values is found, and the
        first of those without one: the best passage of each document, say.
        ``field`` and ``text_field`` may be paths into records (``"passages.embedding"``): a row is as near as the
        nearest of its records. With ``records``, each row's ``records`` are the first so many that made it a hit, by
        their field: the nearest one, those with the words, those that satisfy ``col("passages").any(...)``.
        ``boost`` multiplies scores: by a column (``col("likes").factor("log2p")``), by how near its value is to another
        (``col("at").decay(now, timedelta(days=30))``), or where a condition holds (``(col("kind") == "news", 2.0)``);
        up to three in a list. With a vector, of the nearest 10 × ``limit``, at least 100; without vector and text, rows
        score 1 before, and come by their score.
        ``recall``: the share of the true nearest to find, on average, .5 to 1, in place of the index's own target
        (:attr:`recall_target`); more takes longer.
        The search sees every write acknowledged before it; ``fresh=False`` spares the wait for the latest ones.
        With a ``deadline_ms``, from 1 to 10,000, it answers by then with what it has found, and the results'
        ``is_complete`` tells whether that is all: whether the index had caught up with the latest writes within half of
        that time, and was searched through. Where nothing was found in time it raises RequestTimeout. With
        ``explain``, the results' ``explanation`` tells what was done and why; of many rows, for the first hundred.
        Raises ParameterInvalid, EmbeddingError where the model makes no vector, and RequestTimeout where the index does
        not catch up within 30 s.
        """
        timely = Timely(deadline_ms)
        self._search_index()
        asked = Asked(vector, text, where, field, text_field, match, min_score)
        wanted = Wanted(limit, offset, order_by, columns, collapse, records, boost, explain, recall)
        call = SearchCall(asked, wanted, self._layout)
        results = call.run(self._searcher(fresh, timely))
        results.is_complete = timely.is_complete
        return results

    def search_many(
        self,
        vectors: Iterable[object],
        *,
        where: Expression | None = None,
        limit: int = 10,
        field: str | None = None,
        columns: Sequence[str] | None = None,
        min_score: float | None = None,
        recall: float | None = None,
        fresh: bool = True,
        deadline_ms: int | None = None,
    ) -> list[Results]:
        """For each of ``vectors``, an array [queries, dimension] or a sequence of vectors, or of words or pictures in
        place of some, what :meth:`search` finds.

        Much faster than one search after the other: ``where`` is evaluated once, and the vectors are looked for
        together, shared out to all processors. Up to 256 of them see the same state of the table. ``deadline_ms``: of
        all of them together. Raises as
        :meth:`search`; ParameterInvalid names a bad vector by its number from 0.
        """
        timely = Timely(deadline_ms)
        self._search_index()
        check_page(limit, 0)
        if recall is not None:
            require_recall_target(recall)
        passing = None if where is None else filters.to_query(where, self._layout)
        wanted = columns_to_get(columns, self._layout)
        requests: list[SearchRequest] = []
        queries = embedded_queries(vectors, field, self._layout)
        for of in {of for _, of in queries}:
            check_filtered(Asked(queries, where=where, field=of), self._layout)
        for number, (vector, of) in enumerate(queries):
            try:
                query = nearest(vector, of, self._layout, passing, limit, min_score)
            except ParameterInvalid as error:
                raise ParameterInvalid(f"vector {number}: {error}") from None
            requests.append(SearchRequest(query, (ScoreSort(),), 0, limit, columns=wanted, recall_target=recall))
        search = self._searcher(fresh, timely)
        is_fresh = timely.is_complete
        results: list[Results] = []
        at_once = max(1, min(limits.SEARCHES_AT_ONCE_MAX, limits.OFFSET_PLUS_LIMIT_MAX // limit))
        for first in range(0, len(requests), at_once):
            for found in search(requests[first : first + at_once]):
                pairs = zip(found.rows, found.scores, strict=True)
                rows = [self._layout.decode_row(row, score) for row, score in pairs]
                shown = self._layout.result_columns(columns, rows)
                results.append(Results(rows, shown, found.stats, is_fresh and found.is_complete))
        return results

    # --- fields -------------------------------------------------------------------------------------------------

    def add_field(self, name: str, declaration: FieldDeclaration, *, timeout_s: float = 3_600) -> None:
        """Adds a field, declared as in ``create_table``, to rows that are there and rows that come.

        The index is filled anew for it beside the one there is, which goes on answering searches; this returns once the
        field can be searched. What rows have in a column of that name already, as another program may have written it,
        is indexed with it. Other handles of the table know of the field once they are opened again. A field of vectors
        that is there may be declared once more with ``embed`` and ``with_``, to say what makes them from now on.

        Raises ParameterInvalid, and RequestTimeout where filling takes longer than ``timeout_s``: it goes on then.
        """
        self._open().require_writable()
        with self._changing:
            self._layout = with_field(self._instance(), self._layout, name, declaration)
            self._wait_updated(timeout_s)

    def drop_field(self, name: str, *, timeout_s: float = 3_600) -> None:
        """Drops a field: it can be neither searched nor written any more. Rows keep what they have in that column, and
        give it back as it is stored, until they are written anew.

        Raises as :meth:`add_field`.
        """
        self._open().require_writable()
        with self._changing:
            self._layout = without_field(self._instance(), self._layout, name)
            self._wait_updated(timeout_s)

    @property
    def recall_target(self) -> float:
        """The share of the true nearest that searches for a vector find, on average, where they do not say it."""
        target = self._instance().answering_schema(self.name, self._search_index()).recall_target
        return RECALL_TARGET_DEFAULT if target is None else target

    def set_recall_target(self, recall: float) -> None:
        """Has searches for a vector find that share of the true nearest, .5 to 1, on average, from now on.

        The index stays as it is: searches do more, or less. Raises ParameterInvalid.
        """
        self._open().require_writable()
        update = IndexUpdate(recall_target=require_recall_target(recall))
        self._instance().update_search_index(self.name, self._search_index(), update)

    # --- groups -------------------------------------------------------------------------------------------------

    def aggregate(
        self,
        where: Expression | None = None,
        *,
        vector: object = None,
        text: str | None = None,
        nearest: int = 100,
        field: str | None = None,
        text_field: TextFields = None,
        match: TextMatch = "any",
        fresh: bool = True,
        deadline_ms: int | None = None,
        **aggregates: Aggregate | FirstRows,
    ) -> Totals:
        """What all rows that satisfy ``where`` come to, by the names that ``aggregates`` have.

        ``docs.aggregate(col("year") > 2000, price=col("price").avg(), kinds=col("kind").distinct())`` gives ``price``,
        ``kinds``, and ``count``, the number of rows. What there is no value of is None. A path into records
        (``col("items.price")``) stands for what all records of a row have there. ``best=lutra.first_rows(3,
        order_by="price")`` gives rows. With a ``vector``: of the
        ``nearest`` rows to it; with a ``text``, of those that have the words. ``deadline_ms`` is as in :meth:`search`:
        what there was no time for is not counted, and ``is_complete`` tells. Raises as :meth:`search`.
        """
        timely = Timely(deadline_ms)
        asked = Asked(vector, text, where, field, text_field, match)
        groups = Grouping((), aggregates, self._layout)
        query, _ = query_of(asked, self._layout, nearest)
        [found] = groups.found(query, self._searcher(fresh, timely))
        return Totals(found, timely.is_complete)

    def group_by(
        self,
        *keys: GroupKey,
        where: Expression | None = None,
        vector: object = None,
        text: str | None = None,
        nearest: int = 100,
        field: str | None = None,
        text_field: TextFields = None,
        match: TextMatch = "any",
        order_by: OrderBy = (),
        limit: int | None = None,
        fresh: bool = True,
        deadline_ms: int | None = None,
        **aggregates: Aggregate | FirstRows,
    ) -> Groups:
        """The rows that satisfy ``where`` by what they have in common: a dict for each combination of ``keys``.

        A key is a column, a path into records (``"items.sku"``), or intervals of one: ``col("price").every(10)``,
        ``col("at").every("month")``. A row with several values of a key is in the group of each. A key that says the
        groups beforehand stands alone: ``col("price").ranges(10, 100)``, ``col("at").distance_ranges(point, 1_000)``,
        or conditions with their names, ``{"cheap": col("price") < 10, "new": col("year") > 2020}``, whose groups have
        the name as ``group``; those without rows come, too.
        Each group has its keys (None: rows without the column), its ``count`` of rows and its ``aggregates``, as
        :meth:`aggregate` gives them. Groups come in order of their keys, or by ``order_by``
        (``lutra.col("count").desc()``), ``limit`` of them. ``vector``, ``text``, ``deadline_ms`` and what goes with
        them are as in :meth:`aggregate`. Raises as :meth:`search`.
        """
        timely = Timely(deadline_ms)
        if not keys:
            raise ParameterInvalid("group_by takes a column at least; of all rows together aggregate() tells")
        groups = Grouping(keys, aggregates, self._layout)
        orders = group_orders(order_by, groups.names, limit)
        asked = Asked(vector, text, where, field, text_field, match)
        query, _ = query_of(asked, self._layout, nearest)
        found = ordered(groups.found(query, self._searcher(fresh, timely)), orders)
        return Groups(found[:limit], groups.columns, timely.is_complete)

    # --- inside -------------------------------------------------------------------------------------------------

    def _wait_updated(self, timeout_s: float) -> None:
        index = self._layout.index
        if index is not None:
            end_s = time.monotonic() + timeout_s
            self._instance().wait_updated(self.name, index, timeout_s)
            self._instance().wait_searchable(self.name, index, max(0.0, end_s - time.monotonic()))

    def _search_index(self) -> str:
        if self._layout.index is None:
            raise ParameterInvalid(f"table {self.name!r} has no indexed field, so it cannot be searched")
        return self._layout.index

    def _searcher(self, fresh: bool, timely: Timely | None = None) -> Search:
        """Asks the index, once it is as new as is wanted."""
        index, timely = self._search_index(), timely or Timely(None)
        if fresh:
            timely.wait(lambda wait_s: self._instance().wait_searchable(self.name, index, wait_s))
        return timely.searches(lambda requests: self._instance().search_many(self.name, index, requests))
