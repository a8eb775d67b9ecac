"""IP fields against the addresses of the standard library."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.kinds import found, view_of
from support.stored_segments import Shelf

from lutra.model.errors import ParameterInvalid
from lutra.model.indexes import FieldSchema, FieldType
from lutra.model.queries import Exists, FieldSort, MatchAll, Prefix, Range, SortMode, Term, Terms
from lutra.scalars.addresses import address_key, address_text, network_keys
from lutra.scalars.meaning import value_test
from lutra.scalars.values import ScalarReader

FIELDS = (FieldSchema("ip", FieldType.IP), FieldSchema("ips", FieldType.IP, is_array=True))
V4 = st.sampled_from(
    ["0.0.0.0", "10.0.0.1", "10.0.0.255", "10.255.255.255", "11.0.0.0", "192.168.1.1", "255.255.255.255"]
)
V6 = st.sampled_from(
    ["::", "::1", "::ffff:10.0.0.1", "::FFFF:c0a8:101", "FC00:0:130F::9C0:876A:130B", "2001:db8::8:800:200c:417a"]
)
ADDRESSES = V4 | V6 | st.ip_addresses().map(str)
NOT_ADDRESSES = ["", "10.0.0", "10.0.0.1/8", "010.0.0.1", "10.0.0.256", "fe80::1%eth0", "::g", "10.0.0.1\0", "１.2.3.4"]
LENGTHS = {4: st.sampled_from([0, 8, 24, 30, 32]), 6: st.sampled_from([0, 12, 64, 96, 104, 120, 128])}
NETWORKS = ADDRESSES.flatmap(lambda a: LENGTHS[6 if ":" in a else 4].map(lambda n: f"{a}/{n}"))


def number(address: str) -> int:
    """Of the address as one of IPv6."""
    parsed = ipaddress.ip_address(address)
    return int(parsed) if parsed.version == 6 else 0xFFFF_0000_0000 + int(parsed)


def bounds(operand: str) -> tuple[int, int]:
    if "/" not in operand:
        return number(operand), number(operand)
    network = ipaddress.ip_network(operand, strict=False)
    return number(str(network[0])), number(str(network[-1]))


def addresses_of(row: dict[str, Any], name: str) -> list[int]:
    value = row[name]
    if value is None:
        return []
    elements = [value] if name == "ip" else json.loads(value)
    return [number(element) for element in elements if element is not None and element not in NOT_ADDRESSES]


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "ip": st.none() | ADDRESSES | st.sampled_from(NOT_ADDRESSES),
            "ips": st.none()
            | st.lists(st.none() | ADDRESSES | st.sampled_from(NOT_ADDRESSES), max_size=3).map(json.dumps),
        }
    ),
    max_size=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS, st.integers(0, 99), st.data())
def test_searches(shelf: Shelf, rows: list[dict[str, Any]], seed: int, data: st.DataObject) -> None:
    view = view_of(FIELDS, rows, seed, shelf)
    name = data.draw(st.sampled_from(["ip", "ips"]))
    held = [addresses_of(row, name) for row in rows]
    wanted = data.draw(st.lists(ADDRESSES | NETWORKS, min_size=1, max_size=4))
    spans = [bounds(operand) for operand in wanted]

    def rows_with(test: Any) -> list[int]:
        return [at for at, addresses in enumerate(held) if any(map(test, addresses))]

    assert found(view, Exists(name)) == rows_with(lambda a: True)
    assert found(view, Term(name, wanted[0])) == rows_with(lambda a: spans[0][0] <= a <= spans[0][1])
    assert found(view, Terms(name, tuple(wanted))) == rows_with(lambda a: any(f <= a <= t for f, t in spans))
    (low, low_last), (high_first, high) = spans[0], spans[-1]
    closed = Range(name, wanted[0], wanted[-1])
    assert found(view, closed) == rows_with(lambda a: low <= a <= high)
    opened = Range(name, wanted[0], wanted[-1], include_lower=False, include_upper=False)
    assert found(view, opened) == rows_with(lambda a: low_last < a < high_first)
    test = value_test(ScalarReader(FIELDS[name == "ips"]), closed)
    assert [at for at, row in enumerate(rows) if row[name] is not None and test(row[name])] == found(view, closed)
    by_address = [at for _, at in sorted((min(addresses), at) for at, addresses in enumerate(held) if addresses)]
    without = [at for at, addresses in enumerate(held) if not addresses]
    assert found(view, Term(name, "::/0"), FieldSort(name)) == by_address
    assert found(view, MatchAll(), FieldSort(name, mode=SortMode.MIN)) == by_address + without


@given(ADDRESSES)
def test_addresses_have_one_canonical_text(address: str) -> None:
    key = address_key(address)
    assert key is not None
    parsed = ipaddress.IPv6Address(number(address))
    assert address_text(key) == str(parsed.ipv4_mapped or parsed)
    assert address_key(address_text(key)) == key
    assert ScalarReader(FIELDS[0]).told(key) == address_text(key)


@pytest.mark.parametrize("text", NOT_ADDRESSES)
def test_what_is_no_address(text: str) -> None:
    assert address_key(text) is None
    if "/" not in text:
        with pytest.raises(ParameterInvalid, match=r"field \[ip\] is of type IP"):
            ScalarReader(FIELDS[0]).span(text)


@pytest.mark.parametrize(
    "text", ["10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0.0/٣", "/8", "10.0.0.0/8/8"]
)
def test_what_is_no_network(text: str) -> None:
    assert network_keys(text) is None


def test_what_cannot_be_asked(shelf: Shelf) -> None:
    view = view_of(FIELDS, [{"ip": "10.0.0.1", "ips": None}], 0, shelf)
    with pytest.raises(ParameterInvalid, match=r"type: ip is invalid, allow"):
        found(view, Prefix("ip", "10."))
    with pytest.raises(ParameterInvalid, match="no value of that type"):
        found(view, Terms("ip", ("10.0.0.1", "10.0.0.0/40")))
