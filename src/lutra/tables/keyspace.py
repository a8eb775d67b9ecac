"""Which keys of the store hold what.

::

    m/…                                   the store itself: format, last sequence and time, next table id, id, openings
    d <table id>                          a table's definition, JSON
    r <table id> <key columns>            a row (`storedrow`)
    c <table id> <first sequence>         the changes one commit made to one table (`changelog`)
    n <table id> <partition key>          the last value given out by an auto-increment column
    t <table id>                          the last of its changes that was forgotten (`changelog`)
    s <table id> <created>                which of its stream's records was the last that was forgotten (`stream_log`)
    s <table id> <created> <time> <index> a record of its stream that was enabled then (`stream_log`)
    i <table id> <index name>             a search index's definition, JSON (`lutra.index.catalog.catalog`)
    p <index id>                          how much of its table a secondary index has (`indexprogress`)
    b <index id> <key columns>            under which key a global secondary index has that row of its table
    g <index id>                          a secondary index that was dropped, and whose rows are yet to go
    k <index id> <key columns>            where a row of its table stands in a global index elsewhere (`outgoingindex`)
    o <index id>                          how much of its table such an index has (`indexprogress`)
    q <table id> <key columns>            of a table that is such an index: the stamp of a row (`incomingindex`)
    x <folder>                            objects of a search index that was deleted (`lutra.index.catalog.catalog`)

Ids, sequences and times are 8 bytes, an index is 4, big-endian. Ids are never used twice. A secondary index has an id
as tables have, and its rows below it.
"""

from __future__ import annotations

from typing import Final

FORMAT_KEY: Final = b"m/format"
SEQUENCE_KEY: Final = b"m/sequence"
TIME_KEY: Final = b"m/time"
NEXT_TABLE_KEY: Final = b"m/table"
STORE_KEY: Final = b"m/store"
OPENINGS_PREFIX: Final = b"m/opening/"

FORMAT: Final = b"1"

PROGRESS_PREFIX: Final = b"p"
DROPPED_PREFIX: Final = b"g"
OUTGOING_PROGRESS_PREFIX: Final = b"o"

DEFINITIONS_BEGIN: Final = b"d"
DEFINITIONS_END: Final = b"e"


def pack(number: int) -> bytes:
    """Eight bytes, ordered as the numbers (0 to 2**64 - 1) are."""
    return number.to_bytes(8, "big")


def unpack(data: bytes) -> int:
    return int.from_bytes(data, "big")


def pack_index(number: int) -> bytes:
    """Four bytes, ordered as the numbers (0 to 2**32 - 1) are."""
    return number.to_bytes(4, "big")


def definition_key(table_id: int) -> bytes:
    return b"d" + pack(table_id)


def opening_key(number: int) -> bytes:
    return OPENINGS_PREFIX + pack(number)


def trimmed_key(table_id: int) -> bytes:
    return b"t" + pack(table_id)


def rows_prefix(table_id: int) -> bytes:
    return b"r" + pack(table_id)


def changes_prefix(table_id: int) -> bytes:
    return b"c" + pack(table_id)


def streams_prefix(table_id: int) -> bytes:
    """Of all streams that a table ever had."""
    return b"s" + pack(table_id)


def stream_prefix(table_id: int, created_us: int) -> bytes:
    return b"s" + pack(table_id) + pack(created_us)


def counters_prefix(table_id: int) -> bytes:
    return b"n" + pack(table_id)


def progress_key(index_id: int) -> bytes:
    return PROGRESS_PREFIX + pack(index_id)


def back_prefix(index_id: int) -> bytes:
    return b"b" + pack(index_id)


def outgoing_prefix(index_id: int) -> bytes:
    return b"k" + pack(index_id)


def outgoing_progress_key(index_id: int) -> bytes:
    return OUTGOING_PROGRESS_PREFIX + pack(index_id)


def stamps_prefix(table_id: int) -> bytes:
    return b"q" + pack(table_id)


def dropped_key(index_id: int) -> bytes:
    return DROPPED_PREFIX + pack(index_id)
