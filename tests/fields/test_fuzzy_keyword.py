"""FUZZY_KEYWORD fields against Python's own matching, and how many strings patterns look at."""

from __future__ import annotations

import fnmatch
import json
import random
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.kinds import found, view_of
from support.stored_segments import Shelf
from support.streams import MemoryStream

from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.limits import FUZZY_KEYWORD_BYTES_MAX
from lutra.model.queries import Exists, FieldSort, Match, Prefix, Query, Range, Suffix, Term, Terms, Wildcard
from lutra.scalars.column import ScalarColumn
from lutra.scalars.grams import END, Grams, write_grams
from lutra.scalars.segment_column import SegmentColumn, write_column

FIELD = FieldSchema("f", FieldType.FUZZY_KEYWORD)
ARRAY = FieldSchema("a", FieldType.FUZZY_KEYWORD, is_array=True)
LETTERS = st.text("abé中\0*", max_size=6)
PIECES = st.text("abé中", max_size=3)
PATTERNS = st.lists(PIECES | st.sampled_from(["*", "?", "**", "*?"]), max_size=6).map("".join)
ROWS = st.lists(
    st.fixed_dictionaries({"f": st.none() | LETTERS, "a": st.none() | st.lists(LETTERS, max_size=3).map(json.dumps)}),
    max_size=14,
)


def matcher(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in pattern), re.DOTALL)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS, st.integers(0, 99), st.data())
def test_searches(shelf: Shelf, rows: list[dict[str, Any]], seed: int, data: st.DataObject) -> None:
    view = view_of((FIELD, ARRAY), rows, seed, shelf)
    name = data.draw(st.sampled_from(["f", "a"]))
    held = [[] if row[name] is None else [row["f"]] if name == "f" else json.loads(row["a"]) for row in rows]
    some, pattern, piece = data.draw(st.lists(LETTERS, min_size=1, max_size=3)), data.draw(PATTERNS), data.draw(PIECES)
    like = matcher(pattern)
    asked: list[tuple[Query, Any]] = [
        (Exists(name), lambda text: True),
        (Term(name, some[0]), lambda text: text == some[0]),
        (Match(name, some[0]), lambda text: text == some[0]),
        (Terms(name, tuple(some)), lambda text: text in some),
        (Prefix(name, piece), lambda text: text.startswith(piece)),
        (Suffix(name, piece), lambda text: text.endswith(piece)),
        (Wildcard(name, pattern), like.fullmatch),
    ]
    for query, test in asked:
        assert found(view, query) == [at for at, texts in enumerate(held) if any(map(test, texts))], query


@given(st.lists(st.text("ab中", max_size=5), max_size=200), st.lists(PIECES, min_size=1, max_size=3), st.booleans())
def test_grams(texts: list[str], pieces: list[str], at_end: bool) -> None:
    strings = sorted({text.encode() for text in texts})
    stream = MemoryStream(before=7)
    grams = Grams(stream, json.loads(json.dumps(write_grams(stream, strings))))
    wanted = [piece.encode() for piece in pieces]
    if at_end:
        wanted[-1] += END
    having = grams.having(wanted)
    due = [n for n, string in enumerate(strings) if all(piece in string + END for piece in wanted)]
    assert having is None or set(due) <= set(having.tolist())
    assert having is None or bool(np.all(np.diff(having) > 0))
    if having is not None and len(wanted) == 1 and len(wanted[0]) <= 3:
        assert having.tolist() == due
    assert [*grams.faults(strings)] == []
    if len(strings) > 1:
        assert [*grams.faults([*strings[:-1], strings[-1] + b"z"])] != []


def column_of(texts: list[str]) -> tuple[SegmentColumn, list[int]]:
    """A column of a segment, and the strings that were looked at since, one by one."""
    column = ScalarColumn(FIELD)
    for doc, text in enumerate(texts):
        assert column.stage(doc, text)
    column.settle()
    column.publish()
    stream = MemoryStream()
    meta = write_column(stream, FIELD, len(texts), column.view(len(texts)).elements())
    return SegmentColumn(stream, FIELD, meta, len(texts)), []


def test_patterns_look_at_few_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(3)
    texts = [f"/srv/{rng.randrange(16**6):06x}/{rng.randrange(10**4):04d}.log" for _ in range(20_000)]
    texts[77] = "/srv/needle/0007.txt"
    column, _ = column_of(texts)
    looked_at = 0
    strings = column._dictionary.strings  # type: ignore[union-attr]
    take, between = strings.take, strings.between

    def counted(ids: Any) -> list[bytes]:
        nonlocal looked_at
        looked_at += len(ids)
        return take(ids)

    def scanned(begin: int, end: int) -> Any:
        nonlocal looked_at
        looked_at += end - begin
        return between(begin, end)

    monkeypatch.setattr(strings, "take", counted)
    monkeypatch.setattr(strings, "between", scanned)
    asked = {
        "*needle*": (1, 1),
        "*.txt": (1, 1),
        "/srv/nee*": (1, 1),
        "*ee?le/*": (1, 1),
        "/srv/needle/0007.txt": (1, 1),
        "*neeedle*": (0, 0),
        f"*{texts[5][6:9]}*": (0, 0),  # what has the three bytes in a row is all that is asked for
        f"*{texts[5][6:9]}*?": (1, 300),
        f"*{texts[9][-8:]}": (1, 400),
    }
    for pattern, (least, most) in asked.items():
        looked_at = 0
        count = column.like(pattern).mask().count
        assert count == sum(fnmatch.fnmatchcase(text, pattern) for text in texts), pattern
        assert least <= looked_at <= most, (pattern, looked_at)
        assert column.like(pattern).estimate >= count
    looked_at = 0
    assert column.ends_with("7.txt").mask().count == 1
    assert looked_at == 1


def test_what_it_does_not_do(shelf: Shelf) -> None:
    view = view_of((FIELD,), [{"f": "a"}], 0, shelf)
    with pytest.raises(ParameterInvalid, match="type: fuzzy_keyword is invalid, allow"):
        found(view, Range("f", "a"))
    with pytest.raises(ParameterInvalid, match="is of type FUZZY_KEYWORD: it cannot be sorted by"):
        found(view, Exists("f"), FieldSort("f"))


def test_long_ones_are_left_out() -> None:
    fits, too_long = "x" * FUZZY_KEYWORD_BYTES_MAX, "x" * (FUZZY_KEYWORD_BYTES_MAX + 1)
    column = ScalarColumn(FIELD)
    assert column.stage(0, fits)
    assert not column.stage(1, too_long)
    array = ScalarColumn(ARRAY)
    assert array.stage(0, json.dumps([too_long, "a", fits]))
    assert array.settle() == 1
    array.publish()
    assert array.view(1).value(0) == ["a", fits]
