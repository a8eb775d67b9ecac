"""A table of vectors with a search index, as a client of the official SDK sees it.

Rows: ``id`` (the key), ``embedding`` (float32, Euclidean) and ``n``, a number from 0 to 999, for filters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import tablestore as ots
from tablestore import OTSClient

TABLE: Final = "vectors"
INDEX: Final = "vectors_index"
BATCH_ROWS: Final = 200
NUMBERS: Final = 1_000
"""``n`` of a row is its number modulo this."""

Call = Callable[[OTSClient], object]
Vectors = npt.NDArray[np.float32]


def create(client: OTSClient, dimension: int, numbers: Sequence[str] = ("n",)) -> None:
    """The table and its index, empty; ``numbers``: the columns for filters."""
    throughput = ots.ReservedThroughput(ots.CapacityUnit(0, 0))
    client.create_table(ots.TableMeta(TABLE, [("id", "STRING")]), ots.TableOptions(), throughput)
    options = ots.VectorOptions(ots.VectorDataType.VD_FLOAT_32, ots.VectorMetricType.VM_EUCLIDEAN, dimension)
    fields = [
        ots.FieldSchema("embedding", ots.FieldType.VECTOR, vector_options=options),
        *[ots.FieldSchema(name, ots.FieldType.LONG, index=True, enable_sort_and_agg=True) for name in numbers],
    ]
    client.create_search_index(TABLE, INDEX, ots.SearchIndexMeta(fields))


def raw_row_bytes(dimension: int) -> int:
    """Of key, number and vector."""
    return len(key_of(0)) + 8 + 4 * dimension


def put_call(numbers: Iterable[int], vectors: Vectors, **more: Sequence[int]) -> Call:
    """BatchWriteRow of the rows of these numbers, in place of what they were; ``more``: further columns by name."""
    ignore = ots.Condition(ots.RowExistenceExpectation.IGNORE)
    rows = []
    for at, (number, vector) in enumerate(zip(numbers, vectors, strict=True)):
        columns = [("embedding", bytearray(vector.tobytes())), ("n", number % NUMBERS)]
        columns += [(name, values[at]) for name, values in more.items()]
        rows.append(ots.PutRowItem(ots.Row([("id", key_of(number))], columns), ignore))
    return partial(_put, rows)


def put_calls(vectors: Vectors, first: int = 0) -> Iterator[Call]:
    """All of ``vectors`` as new rows from number ``first`` on, `BATCH_ROWS` at a time."""
    for begin in range(0, len(vectors), BATCH_ROWS):
        batch = vectors[begin : begin + BATCH_ROWS]
        yield put_call(range(first + begin, first + begin + len(batch)), batch)


def knn_call(query: npt.NDArray[np.float32], *, share: float = 1.0, column: str = "n") -> Call:
    """KnnVectorQuery, top 10; ``share``: of the rows, which a range over ``column`` leaves."""
    among = None if share >= 1 else ots.RangeQuery(column, 0, round(share * NUMBERS), include_lower=True)
    nearest = ots.KnnVectorQuery("embedding", 10, query.tolist(), among)
    wanted = ots.SearchQuery(nearest, limit=10, sort=ots.Sort([ots.ScoreSort()]), get_total_count=False)
    return partial(_search, wanted)


def count(client: OTSClient) -> int:
    """Rows that are searchable."""
    wanted = ots.SearchQuery(ots.MatchAllQuery(), limit=0, get_total_count=True)
    return int(client.search(TABLE, INDEX, wanted).total_count)


def key_of(number: int) -> str:
    """Of the row of that number."""
    # Scattered, so that rows that come together are not neighbours in the order of keys.
    return f"{number * 7_919 % 100_000_007:09d}-{number:08d}"


def number_of(key: str) -> int:
    """Of the row with that key."""
    return int(key[-8:])


def _put(rows: list[ots.PutRowItem], client: OTSClient) -> object:
    request = ots.BatchWriteRowRequest()
    request.add(ots.TableInBatchWriteRowItem(TABLE, rows))
    return client.batch_write_row(request)


def _search(wanted: ots.SearchQuery, client: OTSClient) -> object:
    return client.search(TABLE, INDEX, wanted, ots.ColumnsToGet(return_type=ots.ColumnReturnType.NONE))
