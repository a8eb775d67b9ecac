"""What a request must have before its body is looked at: headers, a known key, a right signature, a fresh date.

Texts and codes are the documented ones (protocol facts, 1.1 to 1.4).
"""

from __future__ import annotations

import re
import zlib
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import md5
from hmac import compare_digest
from typing import Final

from lutra.model import limits
from lutra.model.clock import Clock
from lutra.model.errors import AuthFailed, ParameterInvalid, RequestBodyTooLarge
from lutra.model.recall_target import read_recall_target
from lutra.server.auth import signing
from lutra.server.auth.credentials import Credentials

API_VERSION: Final = b"2015-12-31"
SKEW_SECONDS_MAX: Final = 15 * 60
TOO_LARGE: Final = "The size of POST data is too large."

_DATE: Final = b"x-ots-date"
_API_VERSION: Final = b"x-ots-apiversion"
_ACCESS_KEY_ID: Final = b"x-ots-accesskeyid"
_INSTANCE_NAME: Final = b"x-ots-instancename"
_CONTENT_MD5: Final = b"x-ots-contentmd5"
_COMPRESS_TYPE: Final = b"x-ots-request-compress-type"
_COMPRESS_SIZE: Final = b"x-ots-request-compress-size"
EXPLAIN: Final = b"x-lutra-explain"
FRESH: Final = b"x-lutra-fresh"
RECALL_TARGET: Final = b"x-lutra-recall-target"
_REQUIRED: Final = (_DATE, _API_VERSION, _ACCESS_KEY_ID, _INSTANCE_NAME, _CONTENT_MD5)

# Only to the second: Go writes fractions of any length, which mean nothing.
_DATE_PATTERN: Final = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,32})?Z")
_SIGN_DATE_PATTERN: Final = re.compile(rb"\d{8}")
_DIGITS: Final = re.compile(rb"\d{1,18}")


@dataclass(frozen=True, slots=True)
class Admission:
    """A request whose caller holds the secret. ``signing_key`` is the one it signed with, for the response."""

    instance: str
    signing_key: bytes
    content_md5: bytes
    is_compressed: bool
    uncompressed_bytes: int | None
    explains: bool = False
    """Whether a search is to tell what it did: Lutra's own, unsigned header."""
    is_fresh: bool = False
    """Whether a search is to see every write acknowledged before it: as that."""
    recall_target: float | None = None
    """Of a search, or that an index is to have from now on: another of Lutra's own, unsigned headers."""


class Gate:
    """Checks the headers of requests. Thread-safe."""

    def __init__(self, credentials: Credentials, clock: Clock) -> None:
        self._access_key_id = credentials.access_key_id.encode()
        self._secret = credentials.access_key_secret.encode()
        self._clock = clock
        # One key for a day and region; what a stranger puts into the headers cannot make this grow.
        self._v4_key = lru_cache(maxsize=64)(lambda date, region: signing.v4_key(self._secret, date, region))

    def admit(self, operation: bytes, headers: Iterable[tuple[bytes, bytes]]) -> Admission:
        """Lets a request in. ``headers`` have names in lower case.

        Raises ParameterInvalid for headers that are missing or malformed, AuthFailed where the caller has not proved
        to hold the secret, or its clock is off.
        """
        given_headers = list(headers)
        given = self._collect(given_headers)
        for name in _REQUIRED:
            if name not in given:
                raise ParameterInvalid(f"Missing header: '{name.decode()}'.")
        signing_key = self._authenticate(operation, given)
        self._check_date(given[_DATE])
        if given[_API_VERSION] != API_VERSION:
            raise ParameterInvalid(f"Unsupported API version: {_shown(given[_API_VERSION])}.")
        is_compressed, uncompressed_bytes = _parse_compression(given)
        return Admission(
            instance=given[_INSTANCE_NAME].decode("latin-1"),
            signing_key=signing_key,
            content_md5=given[_CONTENT_MD5],
            is_compressed=is_compressed,
            uncompressed_bytes=uncompressed_bytes,
            explains=(EXPLAIN, b"1") in given_headers,
            is_fresh=(FRESH, b"1") in given_headers,
            recall_target=_recall_target(given_headers),
        )

    @staticmethod
    def _collect(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
        given: dict[bytes, bytes] = {}
        for name, value in headers:
            if name.startswith(signing.HEADER_PREFIX):
                if name in given:
                    raise ParameterInvalid(f"Duplicated header: '{_shown(name)}'.")
                given[name] = value.strip()
        return given

    def _authenticate(self, operation: bytes, given: dict[bytes, bytes]) -> bytes:
        if not compare_digest(given[_ACCESS_KEY_ID], self._access_key_id):
            raise AuthFailed("The AccessKeyID does not exist.")
        if signing.SIGNATURE_V4 in given:
            for name in (signing.SIGN_DATE, signing.SIGN_REGION):
                if not given.get(name):
                    raise ParameterInvalid(f"Missing header: '{name.decode()}'.")
            sign_date = given[signing.SIGN_DATE]
            if _SIGN_DATE_PATTERN.fullmatch(sign_date) is None:
                raise ParameterInvalid(f"Invalid date format: {_shown(sign_date)}.")
            # Clients that run for long keep the key of the day they started, so an old day is no reason to refuse:
            # how fresh a request is, its signed x-ots-date says.
            key = self._v4_key(sign_date, given[signing.SIGN_REGION])
            signature_header = signing.SIGNATURE_V4
        elif signing.SIGNATURE_V2 in given:
            key, signature_header = self._secret, signing.SIGNATURE_V2
        else:
            raise ParameterInvalid(f"Missing header: '{signing.SIGNATURE_V2.decode()}'.")
        if not signing.verify(key, operation, given, signature_header):
            raise AuthFailed("Signature mismatch.")
        return key

    def _check_date(self, text: bytes) -> None:
        seconds = parse_date(text)
        if seconds is None:
            raise ParameterInvalid(f"Invalid date format: {_shown(text)}.")
        if abs(self._clock.now_us() // 1_000_000 - seconds) > SKEW_SECONDS_MAX:
            raise AuthFailed(f"Mismatch between system time and x-ots-date: {_shown(text)}.")


def _recall_target(headers: Iterable[tuple[bytes, bytes]]) -> float | None:
    said = [value for name, value in headers if name == RECALL_TARGET]
    if len(said) > 1:
        raise ParameterInvalid(f"Duplicated header: '{_shown(RECALL_TARGET)}'.")
    return read_recall_target(_shown(said[0])) if said else None


@lru_cache(maxsize=64)
def parse_date(text: bytes) -> int | None:
    """An x-ots-date as seconds since the epoch, or None where it is none."""
    found = _DATE_PATTERN.fullmatch(text)
    if found is None:
        return None
    try:
        return int(datetime.fromisoformat(found.group(1).decode()).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None


def _parse_compression(given: dict[bytes, bytes]) -> tuple[bool, int | None]:
    kind = given.get(_COMPRESS_TYPE)
    if kind is None:
        return False, None
    if kind.lower() != b"deflate":
        raise ParameterInvalid(f"Unsupported compress type: {_shown(kind)}.")
    size = given.get(_COMPRESS_SIZE)
    if size is None:
        return True, None
    if _DIGITS.fullmatch(size) is None:
        raise ParameterInvalid(f"Invalid header: '{_COMPRESS_SIZE.decode()}'.")
    return True, int(size)


def open_body(admission: Admission, body: bytes) -> bytes:
    """The message in a request's body: its MD5 checked, unpacked where it is compressed.

    Raises AuthFailed for another MD5, RequestBodyTooLarge, and ParameterInvalid for what does not unpack.
    """
    if not compare_digest(b64encode(md5(body, usedforsecurity=False).digest()), admission.content_md5):
        raise AuthFailed("Mismatch between MD5 value of request body and x-ots-contentmd5 in header.")
    if not admission.is_compressed:
        return body
    unpacker = zlib.decompressobj()
    try:
        # One byte more than allowed tells a body at the limit from one beyond it, whatever it would unpack to.
        message = unpacker.decompress(body, limits.BODY_BYTES_MAX + 1)
    except zlib.error:
        raise ParameterInvalid("The compressed body is malformed.") from None
    if len(message) > limits.BODY_BYTES_MAX:
        raise RequestBodyTooLarge(TOO_LARGE)
    if not unpacker.eof or unpacker.unused_data:
        raise ParameterInvalid("The compressed body is malformed.")
    if admission.uncompressed_bytes is not None and admission.uncompressed_bytes != len(message):
        raise ParameterInvalid(f"The compressed body does not unpack to the size in '{_COMPRESS_SIZE.decode()}'.")
    return message


def _shown(value: bytes) -> str:
    """A header's value for an error text: bounded, printable."""
    text = value[:128].decode("latin-1")
    return "".join(character if character.isprintable() else "?" for character in text)
