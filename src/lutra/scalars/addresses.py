"""IP addresses as keys whose order is that of the addresses: 32 hexadecimal digits, 16 bytes.

An IPv4 address is the IPv6 address that it is mapped to, ``::ffff:0:0/96``, so that both have one order and either
notation finds it. Keys are text, so that an address is stored, found and sorted as keywords are.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

_MAPPED: Final = bytes(10) + b"\xff\xff"
_ADDRESS_CHARS_MAX: Final = 64
_V4_BITS: Final = 32
_BITS: Final = 128


def address_key(text: str) -> str | None:
    """The key of an address in any notation of it; None where ``text`` is none."""
    packed = _packed(text)
    return None if packed is None else packed.hex()


def network_keys(text: str) -> tuple[str, str] | None:
    """The keys of the first and the last address of a network, as ``10.0.0.0/8``; None where ``text`` is none.

    The address before the slash may be any of the network.
    """
    address, slash, length = text.partition("/")
    packed = _packed(address)
    if not slash or packed is None or not (length.isascii() and length.isdigit() and len(length) <= 3):
        return None
    bits = _BITS if ":" in address else _V4_BITS
    free = bits - int(length)
    if free < 0:
        return None
    number = int.from_bytes(packed, "big")
    first = number >> free << free
    return f"{first:032x}", f"{first | (1 << free) - 1:032x}"


def address_text(key: str) -> str:
    """The canonical notation of an address: IPv4 with dots, IPv6 as short as may be, in small letters."""
    address = ipaddress.IPv6Address(int(key, 16))
    return str(address.ipv4_mapped or address)


def _packed(text: str) -> bytes | None:
    if len(text) > _ADDRESS_CHARS_MAX or not text.isascii() or "\0" in text:
        return None
    try:
        if ":" in text:
            return socket.inet_pton(socket.AF_INET6, text)
        return _MAPPED + socket.inet_pton(socket.AF_INET, text)
    except OSError:
        return None
