"""Streams of several shards on the wire; those of one are tested over a server."""

from __future__ import annotations

import pytest

from lutra.model.errors import ParameterInvalid
from lutra.model.schema import StreamSpec
from lutra.model.streams import StreamDescription, StreamPage, StreamShard
from lutra.server.protocol.stream_messages import describe_message, page_message
from lutra.server.wire import stream_pb2 as wire

_STREAM = StreamDescription(
    "t_1",
    (StreamShard("a"), StreamShard("b", ("a",)), StreamShard("c", ("a",)), StreamShard("d", ("b", "c"))),
    "t",
    1,
    StreamSpec(24),
)


def _described(**fields: object) -> tuple[list[tuple[str, str, str]], str]:
    message = describe_message(wire.DescribeStreamRequest(stream_id="t_1", **fields), _STREAM)  # type: ignore[arg-type]
    return [(one.shard_id, one.parent_id, one.parent_sibling_id) for one in message.shards], message.next_shard_id


def test_shards_are_told_with_their_parents_a_page_at_a_time() -> None:
    shards = [("a", "", ""), ("b", "a", ""), ("c", "a", ""), ("d", "b", "c")]
    assert _described() == (shards, "")
    assert _described(shard_limit=3) == (shards[:3], "d")
    assert _described(shard_limit=2, inclusive_start_shard_id="b") == (shards[1:3], "d")
    assert _described(shard_limit=9, inclusive_start_shard_id="d") == (shards[3:], "")
    with pytest.raises(ParameterInvalid):
        _described(inclusive_start_shard_id="e")


def test_a_shard_that_has_ended_has_no_next_iterator() -> None:
    assert not page_message(StreamPage([], None, False, 0)).HasField("next_shard_iterator")
