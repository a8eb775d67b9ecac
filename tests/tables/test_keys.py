"""The order of encoded keys is the order of the keys, and nothing is lost."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.model.errors import Corruption, InvalidPrimaryKey, ParameterInvalid
from lutra.model.rows import KeyInput
from lutra.model.schema import KeyColumn
from lutra.model.values import AUTO_INCREMENT, INF_MAX, INF_MIN, INT64_MAX, INT64_MIN, ColumnType
from lutra.tables.keys import KeyCodec, check_bound, check_key, rank

VALUES = {
    ColumnType.INTEGER: st.one_of(
        st.integers(INT64_MIN, INT64_MAX), st.sampled_from([INT64_MIN, -1, 0, 1, INT64_MAX]), st.integers(-2, 2)
    ),
    ColumnType.STRING: st.one_of(st.text(max_size=5), st.text("\0\x01aé", max_size=4)),
    ColumnType.BINARY: st.one_of(st.binary(max_size=5), st.binary(max_size=3).map(lambda b: b.replace(b"a", b"\0"))),
}
INFINITE = st.sampled_from([INF_MIN, INF_MAX])


def codec_of(types: list[ColumnType]) -> KeyCodec:
    return KeyCodec(b"rPREFIX", tuple(KeyColumn(f"pk{i}", kind) for i, kind in enumerate(types)))


@st.composite
def keys(draw: st.DrawFn, count: int, *, bounds: bool = False) -> tuple[KeyCodec, list[KeyInput]]:
    types = draw(st.lists(st.sampled_from(sorted(VALUES, key=lambda t: t.name)), min_size=1, max_size=4))
    made: list[KeyInput] = []
    for position in range(count):
        infinite = bounds and position == 0
        made.append(
            tuple(
                (f"pk{i}", draw(st.one_of(INFINITE, VALUES[kind]) if infinite else VALUES[kind]))
                for i, kind in enumerate(types)
            )
        )
    return codec_of(types), made


@given(keys(2))
def test_bytes_are_ordered_as_keys(drawn: tuple[KeyCodec, list[KeyInput]]) -> None:
    codec, (first, second) = drawn
    first_values, second_values = [value for _, value in first], [value for _, value in second]
    assert (codec.encode(first) < codec.encode(second)) == (first_values < second_values)
    assert (codec.encode(first) == codec.encode(second)) == (first_values == second_values)
    assert (rank(first) < rank(second)) == (first_values < second_values)


@given(keys(1))
def test_decoding_gives_the_key_back(drawn: tuple[KeyCodec, list[KeyInput]]) -> None:
    codec, (key,) = drawn
    encoded = codec.encode(key)
    assert codec.decode(encoded) == key
    assert codec.decode_bare(encoded[len(codec.prefix) :]) == key
    assert codec.decode_all([encoded, encoded]) == [key, key]


@given(keys(2))
def test_a_partition_is_what_keys_of_one_first_column_begin_with(drawn: tuple[KeyCodec, list[KeyInput]]) -> None:
    codec, (first, second) = drawn
    partition = codec.partition(codec.encode(first))
    assert partition == codec.encode_partition_key(first[:1])
    assert codec.encode(first).startswith(partition)
    assert (codec.partition(codec.encode(second)) == partition) == (first[0] == second[0])


@given(keys(2, bounds=True))
def test_a_bound_parts_the_keys_below_it_from_those_above(drawn: tuple[KeyCodec, list[KeyInput]]) -> None:
    codec, (bound, key) = drawn
    below = True
    for (_, bound_value), (_, value) in zip(bound, key, strict=True):
        if bound_value is INF_MIN or bound_value is INF_MAX:
            below = bound_value is INF_MAX
            break
        if value != bound_value:
            below = value < bound_value  # type: ignore[operator]
            break
    else:
        below = False
    assert (codec.encode(key) < codec.encode_bound(bound)) == below


def test_integers_order_over_their_whole_range() -> None:
    codec = codec_of([ColumnType.INTEGER])
    numbers = [INT64_MIN, INT64_MIN + 1, -256, -255, -1, 0, 1, 255, 256, INT64_MAX - 1, INT64_MAX]
    encoded = [codec.encode((("pk0", number),)) for number in numbers]
    assert encoded == sorted(encoded)
    assert len(set(encoded)) == len(numbers)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ((("PK1", "a"),), "Validate PK size fail. Input: 1, Meta: 2."),
        ((("PK2", "a"), ("PK1", 1)), "Validate PK name fail. Input: PK2, Meta: PK1."),
        ((("PK1", 123), ("PK2", 1)), "Validate PK type fail. Input: VT_INTEGER, Meta: VT_STRING."),
        ((("PK1", "a"), ("PK2", "1")), "Validate PK type fail. Input: VT_STRING, Meta: VT_INTEGER."),
        ((("PK1", b"a"), ("PK2", 1)), "Validate PK type fail. Input: VT_BLOB, Meta: VT_STRING."),
        ((("PK1", "a"), ("PK2", True)), "Validate PK type fail. Input: VT_BOOLEAN, Meta: VT_INTEGER."),
        ((("PK1", "a"), ("PK2", AUTO_INCREMENT)), "Validate PK type fail. Input: VT_AUTO_INCREMENT, Meta: VT_INTEGER."),
        ((("PK1", None), ("PK2", 1)), "Validate PK type fail. Input: NoneType, Meta: VT_STRING."),
        ((("PK1", "a"), ("PK2", 2**63)), "The value of primary key column 'PK2' does not fit 64 bits."),
        ((("PK1", "\ud800"), ("PK2", 1)), "Value of column 'PK1' must be UTF8 encoding."),
    ],
)
def test_a_key_that_is_not_the_tables_is_refused(key: KeyInput, text: str) -> None:
    codec = KeyCodec(b"r", (KeyColumn("PK1", ColumnType.STRING), KeyColumn("PK2", ColumnType.INTEGER)))
    with pytest.raises(InvalidPrimaryKey) as caught:
        codec.encode(key)
    assert str(caught.value) == text
    assert caught.value.code == "OTSInvalidPK"


FIVE = tuple((f"PK{i}", "a") for i in range(5))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ((), "The number of primary key columns must be in range: [1, 4]."),
        (FIVE, "The number of primary key columns must be in range: [1, 4]."),
        ((("PK1", INF_MIN), ("PK2", 1)), "VT_INF_MIN is an invalid type for the primary key."),
        ((("other", "a"), ("PK2", INF_MAX)), "VT_INF_MAX is an invalid type for the primary key."),
        (
            (("other", b"a"), ("PK2", "x" * 1025)),
            "The length of primary key column: 'PK2' exceeds the MaxLength:1024 with CurrentLength:1025.",
        ),
    ],
)
def test_what_is_wrong_in_itself_is_said_before_what_does_not_fit_the_table(key: KeyInput, text: str) -> None:
    codec = KeyCodec(b"r", (KeyColumn("PK1", ColumnType.STRING), KeyColumn("PK2", ColumnType.INTEGER)))
    for use in (codec.encode, check_key):
        with pytest.raises(ParameterInvalid) as caught:
            use(key)
        assert str(caught.value) == text
        assert caught.value.code == "OTSParameterInvalid"


def test_a_bound_is_checked_in_itself_first_too() -> None:
    codec = codec_of([ColumnType.STRING, ColumnType.INTEGER])
    for use in (codec.encode_bound, check_bound):
        with pytest.raises(ParameterInvalid, match=r"^The number of primary key columns must be in range: \[1, 4\]\.$"):
            use(tuple((f"pk{i}", INF_MIN) for i in range(5)))
        with pytest.raises(ParameterInvalid, match="can't be used for read"):
            use((("other", INF_MIN), ("pk1", AUTO_INCREMENT)))


def test_a_value_too_long_is_refused() -> None:
    codec = codec_of([ColumnType.STRING])
    codec.encode((("pk0", "é" * 512),))
    with pytest.raises(ParameterInvalid) as caught:
        codec.encode((("pk0", "é" * 512 + "a"),))
    assert str(caught.value) == (
        "The length of primary key column: 'pk0' exceeds the MaxLength:1024 with CurrentLength:1025."
    )
    assert caught.value.code == "OTSParameterInvalid"


def test_bounds_are_checked_behind_an_infinite_column_too() -> None:
    codec = codec_of([ColumnType.STRING, ColumnType.INTEGER])
    with pytest.raises(InvalidPrimaryKey, match="PK name fail"):
        codec.encode_bound((("pk0", INF_MIN), ("other", INF_MIN)))
    with pytest.raises(InvalidPrimaryKey, match="PK type fail"):
        codec.encode_bound((("pk0", INF_MIN), ("pk1", "text")))
    with pytest.raises(InvalidPrimaryKey, match="PK size fail"):
        codec.encode_bound((("pk0", INF_MIN),))
    with pytest.raises(ParameterInvalid, match="can't be used for read"):
        codec.encode_bound((("pk0", "a"), ("pk1", AUTO_INCREMENT)))


def test_stored_keys_of_another_shape_are_corruption() -> None:
    codec = codec_of([ColumnType.STRING, ColumnType.INTEGER])
    whole = codec.encode((("pk0", "a"), ("pk1", 1)))
    for damaged in (whole[:-1], whole + b"\0", b"rPREFIXno end", b"rPREFIX\xff\0\0" + whole[-8:]):
        with pytest.raises(Corruption):
            codec.decode(damaged)
    only = codec_of([ColumnType.STRING])
    with pytest.raises(Corruption, match=b"rPREFIX\xff".hex()):
        only.decode_all([b"rPREFIXa", b"rPREFIX\xff"])


def test_infinite_bounds_rank_around_values() -> None:
    ordered = [
        (("a", INF_MIN), ("b", INF_MIN)),
        (("a", 1), ("b", INF_MIN)),
        (("a", 1), ("b", 5)),
        (("a", 1), ("b", INF_MAX)),
        (("a", 2), ("b", INF_MIN)),
        (("a", INF_MAX), ("b", INF_MAX)),
    ]
    for lower, upper in itertools.combinations(ordered, 2):
        assert rank(lower) < rank(upper)
