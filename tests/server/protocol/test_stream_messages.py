"""Iterators of streams as text, and how much one answer may have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.model import limits
from lutra.model.errors import ParameterInvalid
from lutra.model.streams import StreamIterator, StreamPlace
from lutra.server.protocol.stream_messages import iterator_text, parse_iterator, parse_limit
from lutra.server.wire import stream_pb2 as wire

NUMBERS = st.integers(0, 2**64 - 1)


@given(NUMBERS, NUMBERS, NUMBERS, st.integers(0, 2**32 - 1))
def test_an_iterator_is_read_back(table_id: int, created_us: int, time_us: int, index: int) -> None:
    at = StreamIterator(table_id, created_us, StreamPlace(time_us, index))
    assert parse_iterator(iterator_text(at)) == at
    assert len(iterator_text(at)) <= limits.STREAM_ITERATOR_CHARS_MAX


@given(st.text(max_size=200))
def test_what_is_none_is_refused_or_read(text: str) -> None:
    try:
        at = parse_iterator(text)
    except ParameterInvalid:
        return
    assert max(at.table_id, at.created_us, at.place.time_us) < 2**64


def test_no_answer_has_more_records_than_the_limit_says() -> None:
    assert parse_limit(wire.GetStreamRecordRequest(shard_iterator="", limit=10**6)) == limits.STREAM_RECORDS_MAX
    assert parse_limit(wire.GetStreamRecordRequest(shard_iterator="", limit=3)) == 3
    assert parse_limit(wire.GetStreamRecordRequest(shard_iterator="")) == limits.STREAM_RECORDS_MAX
    with pytest.raises(ParameterInvalid, match="greater than 0, not -1"):
        parse_limit(wire.GetStreamRecordRequest(shard_iterator="", limit=-1))
