"""A map comes back from its stored form as it was, or not at all."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace

import pytest
from support.cluster_maps import INDEX, NOW_US, key, map_of, split

from lutra.cluster import map_changes as changes
from lutra.cluster.map import ClusterMap, PartitionState
from lutra.cluster.map_codec import decode_map, encode_map
from lutra.model.errors import Corruption
from lutra.model.schema import SecondaryIndex


def test_everything_comes_back() -> None:
    of = split(map_of(3, tables=3), "p1-1", [key(10)], ["a", "b"])
    of = changes.plan_split(of, "p2-1", [key(10)], ["c", "d"])
    of = changes.create_index(of, "main", "orders2", "first", INDEX, NOW_US)
    of = changes.create_index(of, "main", "orders2", "second", INDEX, NOW_US, source="first")
    of = changes.change_index(of, "main", "orders2", "second", lambda index: replace(index, weight=5))
    of = changes.add_secondary_index(of, "main", "orders2", SecondaryIndex("by_order", ("order",)))
    of = changes.drop_table(of, "main", "orders3")
    of = replace(of, version=12)
    assert decode_map(encode_map(of)) == of
    assert decode_map(encode_map(ClusterMap())) == ClusterMap()


def test_a_newer_format_is_not_read() -> None:
    stored = json.loads(zlib.decompress(encode_map(map_of(1))))
    stored["format"] = 2
    with pytest.raises(Corruption, match="format 2"):
        decode_map(zlib.compress(json.dumps(stored).encode()))


def test_what_is_no_map_is_refused() -> None:
    for data in (b"", encode_map(map_of(1))[:-5], zlib.compress(b"{}"), zlib.compress(b"[]")):
        with pytest.raises(Corruption):
            decode_map(data)


def test_a_map_with_a_gap_between_partitions_is_refused() -> None:
    of = map_of(3)
    for gone in of.partitions:
        partitions = tuple(each for each in of.partitions if each is not gone)
        with pytest.raises(Corruption, match="do not make up its keys"):
            decode_map(encode_map(replace(of, partitions=partitions)))
    retired = tuple(replace(each, state=PartitionState.RETIRED) for each in of.partitions)
    with pytest.raises(Corruption, match="'orders1'"):
        decode_map(encode_map(replace(of, partitions=retired)))
