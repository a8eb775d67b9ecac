"""What owners and gateways send each other of rows is what it was."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lutra.cluster.partition import packing
from lutra.cluster.partition_methods import PARTITION_METHODS
from lutra.cluster.wire import decode, encode
from lutra.model.conditions import Comparator, SingleColumn
from lutra.model.errors import ConditionCheckFail, LutraError, ParameterInvalid
from lutra.model.rows import (
    NO_CONDITION,
    CellOperation,
    ChangeKind,
    Condition,
    RangeRequest,
    RangeResult,
    ReadOptions,
    ReadResult,
    ReturnType,
    Row,
    RowChange,
    RowExistence,
    WriteResult,
)
from lutra.model.schema import CapacityUnits
from lutra.model.values import AUTO_INCREMENT, INF_MAX, INF_MIN
from lutra.tables.pages import PageSoFar

_NAMES = st.text("abcé", min_size=1, max_size=3)
_INTEGERS = st.integers(-(2**63), 2**63 - 1)
_KEY_VALUES = st.one_of(_INTEGERS, st.text(max_size=4), st.binary(max_size=4))
_VALUES = st.one_of(_KEY_VALUES, st.booleans(), st.floats(allow_nan=False))


def _keys(*markers: Any) -> st.SearchStrategy[Any]:
    value = st.one_of(_KEY_VALUES, st.sampled_from(markers)) if markers else _KEY_VALUES
    return st.lists(st.tuples(_NAMES, value), min_size=1, max_size=4).map(tuple)


_CONDITIONS = st.one_of(
    st.just(NO_CONDITION),
    st.builds(
        Condition,
        st.sampled_from(RowExistence),
        st.one_of(st.none(), st.builds(SingleColumn, st.sampled_from(Comparator), _NAMES, _VALUES)),
    ),
)
_CHANGED_CELLS = st.lists(
    st.one_of(
        st.tuples(_NAMES, _VALUES, st.one_of(st.none(), st.integers(0, 2**50)), st.just(int(CellOperation.PUT))),
        st.tuples(_NAMES, st.none(), st.none(), st.just(int(CellOperation.DELETE_ALL))),
        st.tuples(_NAMES, _INTEGERS, st.none(), st.just(int(CellOperation.INCREMENT))),
    ),
    max_size=4,
)
_CHANGES = st.builds(
    RowChange,
    st.sampled_from(ChangeKind),
    _keys(AUTO_INCREMENT),
    _CHANGED_CELLS,
    _CONDITIONS,
    st.sampled_from(ReturnType),
    st.lists(_NAMES, max_size=2).map(tuple),
)
_ROWS = st.builds(Row, _keys(), st.lists(st.tuples(_NAMES, _VALUES, st.integers(0, 2**50)), max_size=4))
_UNITS = st.builds(CapacityUnits, st.integers(0, 9), st.integers(0, 9))
_ERRORS = st.sampled_from([ConditionCheckFail(), ParameterInvalid("no such thing")])
_OPTIONS = st.builds(
    ReadOptions,
    st.lists(_NAMES, max_size=2).map(tuple),
    st.sampled_from([None, 1, 3]),
    st.sampled_from([None, (1, 5)]),
    st.one_of(st.none(), st.builds(SingleColumn, st.sampled_from(Comparator), _NAMES, _VALUES)),
)
_WRITTEN = st.one_of(st.builds(WriteResult, _UNITS, st.one_of(st.none(), _ROWS)), _ERRORS)
_READ = st.one_of(
    st.builds(ReadResult, st.one_of(st.none(), _ROWS), _UNITS, st.one_of(st.none(), st.binary(max_size=3))), _ERRORS
)
_SO_FAR = st.builds(PageSoFar, st.integers(0, 9), st.integers(0, 9), st.integers(0, 2**40), st.integers(0, 2**40))
_REQUESTS = st.builds(
    RangeRequest, _keys(INF_MIN, INF_MAX), _keys(INF_MIN, INF_MAX), st.booleans(), st.sampled_from([None, 7]), _OPTIONS
)
_ARGUMENTS: dict[str, st.SearchStrategy[Any]] = {
    "write": st.tuples(_CHANGES, st.one_of(st.none(), st.just("tx"))),
    "write_batch": st.tuples(st.lists(_CHANGES, max_size=3), st.none(), st.booleans()),
    "write_bulk": st.tuples(st.lists(st.one_of(_CHANGES, _ERRORS), max_size=3)),
    "read": st.tuples(_NAMES, _keys(INF_MIN), _OPTIONS, st.none()),
    "read_batch": st.tuples(st.lists(st.tuples(_NAMES, st.lists(_keys(), max_size=3), _OPTIONS), max_size=2)),
    "read_range": st.tuples(_NAMES, _REQUESTS, _SO_FAR),
    "read_range_in": st.tuples(_NAMES, _REQUESTS, st.just("tx")),
}
_RESULTS: dict[str, st.SearchStrategy[Any]] = {
    "write": _WRITTEN,
    "write_batch": st.lists(_WRITTEN, max_size=3),
    "write_bulk": st.lists(_WRITTEN, max_size=3),
    "read": _READ,
    "read_batch": st.lists(_READ, max_size=3),
    "read_range": st.tuples(
        st.builds(RangeResult, st.lists(_ROWS, max_size=3), _UNITS, st.one_of(st.none(), _keys())), _SO_FAR
    ),
}


@given(st.data())
def test_arguments_arrive_as_they_were(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(_ARGUMENTS)))
    given_ = data.draw(_ARGUMENTS[name])
    codec = PARTITION_METHODS[name].arguments
    assert _shown(codec.unpack(decode(encode(codec.pack(given_))))) == _shown(given_)


@given(st.data())
def test_results_arrive_as_they_were(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(_RESULTS)))
    result = data.draw(_RESULTS[name])
    codec = PARTITION_METHODS[name].result
    assert _shown(codec.unpack(decode(encode(codec.pack(result))))) == _shown(result)


def test_most_reads_say_nothing_of_how_they_read() -> None:
    assert packing.pack_options(ReadOptions()) is None
    unlike = ReadOptions(filter=SingleColumn(Comparator.EQUAL, "c", True))
    assert packing.unpack_options(packing.pack_options(unlike)) is unlike


def _shown(value: Any) -> Any:
    """With types, for 1, 1.0 and True are the same to Python, and errors as their texts."""
    if isinstance(value, LutraError):
        return type(value), str(value)
    if isinstance(value, list | tuple):
        return type(value), [_shown(one) for one in value]
    return repr(value)
