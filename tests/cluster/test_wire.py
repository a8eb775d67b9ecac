"""What nodes say to each other comes back as it was, and bytes of strangers are an error that is ours."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import math

import msgpack
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lutra.cluster.errors import Moved
from lutra.cluster.wire import decode, encode, register
from lutra.model import errors
from lutra.model.errors import Corruption, LutraError, ParameterInvalid, SessionExpired
from lutra.model.indexes import FieldSchema, FieldType, IndexSchema
from lutra.model.queries import ColumnsToGet, KnnVector, SearchRequest, Term
from lutra.model.rows import CellOperation, ChangeKind, RangeRequest, Row, RowChange
from lutra.model.values import INF_MAX, INF_MIN

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.datetimes(timezones=st.just(dt.UTC)).map(lambda one: one.replace(fold=0))
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers(0, 99), inner),
    max_leaves=20,
)


@given(PLAIN)
@example(((1, [2, ("three",)]), {}, [[]], ()))
def test_plain_values_come_back_as_they_were(value: object) -> None:
    assert repr(decode(encode(value))) == repr(value)


def test_nouns_of_the_model_come_back_as_they_were() -> None:
    change = RowChange(ChangeKind.UPDATE, (("id", 7),), [("n", 1, None, CellOperation.INCREMENT), ("v", b"\0", 5, 0)])
    said = [
        change,
        Row((("id", "a"),), [("x", 1.5, 7)]),
        RangeRequest((("id", INF_MIN),), (("id", INF_MAX),)),
        SearchRequest(Term("s", "x"), limit=3, columns=ColumnsToGet()),
        IndexSchema((FieldSchema("s", FieldType.KEYWORD),)),
    ]
    heard = decode(encode(said))
    assert heard == said
    assert heard[2].start[0][1] is INF_MIN
    query = decode(encode(KnnVector("v", np.array([0.5, 1.0], np.float32), 10, Term("s", "x"))))
    assert (query.field, query.vector.tolist(), query.vector.dtype) == ("v", [0.5, 1.0], np.float32)
    assert (query.top_k, query.filter, query.min_score) == (10, Term("s", "x"), None)


def test_arrays_and_numbers_of_numpy() -> None:
    for kind in ("<f4", "<i8", "|u1", "|b1", "<u4"):
        array = np.arange(12).reshape(3, 4).astype(kind)
        heard = decode(encode({"a": array}))["a"]
        assert heard.dtype == array.dtype
        assert np.array_equal(heard, array)
    assert decode(encode([np.int64(3), np.float32(0.5), np.bool_(True)])) == [3, 0.5, True]
    assert decode(encode([{1, 2}, frozenset("ab")])) == [{1, 2}, frozenset("ab")]
    assert math.isnan(decode(encode(math.nan)))
    with pytest.raises(TypeError):
        encode(np.array([object()]))


def test_every_error_is_raised_as_what_it_is() -> None:
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, LutraError):
            error = kind.__new__(kind)
            error.args = ("what happened",)
            heard = decode(encode(error))
            assert (type(heard), str(heard), heard.code) == (kind, "what happened", kind.code)
    assert str(decode(encode(SessionExpired()))) == str(SessionExpired())
    assert type(decode(encode(Moved("to there")))) is Moved


def test_what_is_not_known_is_not_sent() -> None:
    @dataclasses.dataclass
    class Own:
        x: int

    with pytest.raises(TypeError, match="is not sent"):
        encode(Own(1))
    register(Own)
    assert decode(encode(Own(1))) == Own(1)
    for unknown in (object(), ValueError("x"), 1 + 2j):
        with pytest.raises(TypeError):
            encode(unknown)


@given(st.binary(max_size=200))
def test_bytes_of_strangers(data: bytes) -> None:
    with contextlib.suppress(Corruption):
        decode(data)


@pytest.mark.parametrize(
    "extension",
    [
        (2, ["model.queries.SearchRequest"]),  # fields are missing
        (2, ["os.system", "true"]),
        (2, [7]),
        (2, []),
        (3, ["model.rows.ChangeKind", 99]),
        (3, ["model.rows.Row", 1]),
        (4, ["|O", [1], b"\0" * 8]),
        (4, ["<f4", [2], b"\0" * 4]),
        (5, ["model.rows.Row", "x"]),
        (5, ["builtins.KeyError", "x"]),
        (99, []),
    ],
)
def test_forged_objects(extension: tuple[int, list[object]]) -> None:
    code, content = extension
    with pytest.raises(Corruption):
        decode(msgpack.packb(msgpack.ExtType(code, msgpack.packb(content))))


def test_an_object_cut_short() -> None:
    data = encode(ParameterInvalid("x"))
    for end in range(len(data)):
        with pytest.raises(Corruption):
            decode(data[:end])
