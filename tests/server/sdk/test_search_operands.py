"""What terms and ranges may be given: values of the field's type, what is coerced to it, what lies between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import tablestore as ots
from support.sdk import SdkClient, invalid, load
from support.searching import field, ids, search
from support.tables import TableMaker
from tablestore import FieldType, PrefixQuery, RangeQuery, TermQuery, TermsQuery

COUNT = 10
LARGE = 2**53


@dataclass(frozen=True)
class Indexed:
    """Rows 0 to 9."""

    table: str
    index: str

    def numbers(self, client: SdkClient, query: Any, **options: Any) -> list[int]:
        return [int(name) for name in ids(search(client, self.table, self.index, query, **options))]


@pytest.fixture(scope="module")
def rows(make_for_module: TableMaker, sync_client: ots.OTSClient) -> Indexed:
    table = make_for_module.table()
    for_each = [
        (
            [("id", str(n))],
            {
                "long": n * 100,
                "double": n / 2,
                "large": float(LARGE + 2 * n),
                "flag": n % 2 == 0,
                "word": str(n % 5),
                "at": n * 1_000,
                "array": f"[{n}, {n + 1}]",
            },
        )
        for n in range(COUNT)
    ]
    load(sync_client, table, for_each)
    index = make_for_module.index(
        table,
        [
            field("long", FieldType.LONG),
            field("double", FieldType.DOUBLE),
            field("large", FieldType.DOUBLE),
            field("flag", FieldType.BOOLEAN),
            field("word", FieldType.KEYWORD),
            field("at", FieldType.DATE, date_formats=["epoch_millis", "yyyy-MM-dd HH:mm:ss.SSSSSS"]),
            field("array", FieldType.LONG, is_array=True),
        ],
    )
    return Indexed(table, index)


def between(name: str, low: Any, high: Any, include_low: bool = True, include_high: bool = True) -> RangeQuery:
    return RangeQuery(name, low, high, include_low, include_high)


CASES: dict[str, tuple[Any, list[int]]] = {
    "text on LONG": (TermQuery("long", "900"), [9]),
    "text with a sign on LONG": (TermQuery("long", "+900"), [9]),
    "a double on LONG": (TermQuery("long", 900.0), [9]),
    "a fraction on LONG": (TermQuery("long", 900.5), []),
    "texts on LONG": (TermsQuery("long", ["100", "150", "300"]), [1, 3]),
    "texts bound LONG": (between("long", "100", "300"), [1, 2, 3]),
    "texts outside of LONG": (between("long", "100", "300", False, False), [2]),
    "fractions bound LONG": (between("long", 99.5, 300.5), [1, 2, 3]),
    "fractions as text bound LONG": (between("long", "100.5", "299.5"), [2]),
    "beyond LONG": (between("long", -1e300, 1e300), [*range(COUNT)]),
    "below LONG": (between("long", None, -1e300), []),
    "text on an array": (TermQuery("array", "5"), [4, 5]),
    "fractions bound an array": (between("array", 8.5, None), [8, 9]),
    "text on DOUBLE": (TermQuery("double", "1.5"), [3]),
    "an integer on DOUBLE": (TermQuery("double", 2), [4]),
    "an integer that no double is": (TermQuery("large", LARGE + 1), []),
    "from an integer that no double is": (between("large", LARGE + 1, None), [*range(1, COUNT)]),
    "up to an integer that no double is": (between("large", None, LARGE + 1, True, False), [0]),
    "text on BOOLEAN": (TermQuery("flag", "true"), [0, 2, 4, 6, 8]),
    "texts on BOOLEAN": (TermsQuery("flag", ["false", "true"]), [*range(COUNT)]),
    "an integer on KEYWORD": (TermQuery("word", 4), [4, 9]),
    "integers on KEYWORD": (TermsQuery("word", [0, 1]), [0, 1, 5, 6]),
    "an integer bounds KEYWORD": (between("word", 4, None), [4, 9]),
    "text on DATE": (TermQuery("at", "5000"), [5]),
    "between two milliseconds": (TermQuery("at", "1970-01-01 00:00:05.000500"), []),
    "from between two milliseconds": (between("at", "1970-01-01 00:00:05.000500", None), [6, 7, 8, 9]),
    "up to between two milliseconds": (between("at", None, "1970-01-01 00:00:00.999999"), [0]),
    "from part of a millisecond": (between("at", 8_000.5, None), [9]),
    "beyond DATE": (between("at", 10**14, None), []),
    "up to beyond DATE": (between("at", None, 10**14), [*range(COUNT)]),
}


@pytest.mark.parametrize("name", CASES)
def test_operands(client: SdkClient, rows: Indexed, name: str) -> None:
    query, expected = CASES[name]
    assert rows.numbers(client, query) == expected


@pytest.mark.parametrize(
    "query",
    [
        TermQuery("long", "nine"),
        TermQuery("long", ""),
        TermQuery("long", True),
        TermsQuery("long", ["100", "x"]),
        RangeQuery("long", "100", "x"),
        TermQuery("long", bytearray(b"900")),
        TermQuery("double", "1,5"),
        TermQuery("double", "NaN"),
        TermQuery("flag", "yes"),
        TermQuery("flag", 1),
        TermQuery("word", 1.5),
        TermQuery("at", "yesterday"),
        PrefixQuery("long", "9"),
    ],
)
def test_operands_that_cannot_be_coerced(client: SdkClient, rows: Indexed, query: Any) -> None:
    with invalid(mentions=query.field_name):
        search(client, rows.table, rows.index, query)
