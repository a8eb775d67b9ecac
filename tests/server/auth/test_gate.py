"""Request checks: what is let in, and with which error what is not is refused."""

from __future__ import annotations

import base64
import hashlib
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.model import limits
from lutra.model.errors import AuthFailed, LutraError, ParameterInvalid, RequestBodyTooLarge
from lutra.server.auth import signing
from lutra.server.auth.credentials import Credentials
from lutra.server.auth.gate import Admission, Gate, open_body, parse_date

NOW = datetime(2026, 11, 23, 15, 24, 25, tzinfo=UTC)
NOW_US = int(NOW.timestamp()) * 1_000_000
SECRET = b"testsk"


class FixedClock:
    def now_us(self) -> int:
        return NOW_US


GATE = Gate(Credentials("testak", "testsk"), FixedClock())


def signed(changes: dict[bytes, bytes | None] | None = None, *, v4: bool = False) -> list[tuple[bytes, bytes]]:
    """Headers of a good ListTable request with ``changes`` made before it is signed; None leaves a header out."""
    headers: dict[bytes, bytes | None] = {
        b"x-ots-accesskeyid": b"testak",
        b"x-ots-apiversion": b"2015-12-31",
        b"x-ots-contentmd5": b"1B2M2Y8AsgTpgAmY7PhCfg==",
        b"x-ots-date": b"2026-11-23T15:24:25.000Z",
        b"x-ots-instancename": b"test",
    }
    if v4:
        headers |= {signing.SIGN_DATE: b"20261123", signing.SIGN_REGION: b"cn-hangzhou"}
    given = {name: value for name, value in (headers | (changes or {})).items() if value is not None}
    text = signing.string_to_sign(b"ListTable", signing.header_lines(given, b""))
    if v4:
        key = signing.v4_key(SECRET, given.get(signing.SIGN_DATE, b""), given.get(signing.SIGN_REGION, b""))
        given[signing.SIGNATURE_V4] = signing.sign_v4(key, text)
    else:
        given[signing.SIGNATURE_V2] = signing.sign_v2(SECRET, text)
    return [*given.items(), (b"content-length", b"0"), (b"user-agent", b"x")]


def refusal(headers: list[tuple[bytes, bytes]], operation: bytes = b"ListTable") -> LutraError:
    with pytest.raises(LutraError) as caught:
        GATE.admit(operation, headers)
    return caught.value


def test_a_good_request_is_let_in() -> None:
    admission = GATE.admit(b"ListTable", signed())
    assert admission == Admission("test", SECRET, b"1B2M2Y8AsgTpgAmY7PhCfg==", False, None)
    assert GATE.admit(b"ListTable", signed(v4=True)).signing_key == signing.v4_key(SECRET, b"20261123", b"cn-hangzhou")


def test_values_are_stripped_and_other_headers_may_be_signed() -> None:
    headers = signed({b"x-ots-extra": b"1", b"x-ots-extra-more": b"2", b"x-ots-ststoken": b"token"})
    spaced = [(name, b"  " + value + b"\t") for name, value in headers]
    assert GATE.admit(b"ListTable", spaced).instance == "test"


@pytest.mark.parametrize(
    "name", ["x-ots-date", "x-ots-apiversion", "x-ots-accesskeyid", "x-ots-instancename", "x-ots-contentmd5"]
)
def test_a_missing_header_is_named(name: str) -> None:
    error = refusal(signed({name.encode(): None}))
    assert isinstance(error, ParameterInvalid)
    assert str(error) == f"Missing header: '{name}'."


@pytest.mark.parametrize("name", [signing.SIGN_DATE, signing.SIGN_REGION])
def test_v4_needs_date_and_region(name: bytes) -> None:
    assert str(refusal(signed({name: None}, v4=True))) == f"Missing header: '{name.decode()}'."


def test_a_missing_signature_is_named() -> None:
    headers = [header for header in signed() if header[0] != signing.SIGNATURE_V2]
    assert str(refusal(headers)) == "Missing header: 'x-ots-signature'."


def test_a_header_given_twice_is_refused() -> None:
    assert str(refusal([*signed(), (b"x-ots-date", b"x")])) == "Duplicated header: 'x-ots-date'."


def test_unknown_key_and_wrong_signature() -> None:
    error = refusal(signed({b"x-ots-accesskeyid": b"somebody"}))
    assert (type(error), str(error)) == (AuthFailed, "The AccessKeyID does not exist.")
    error = refusal(signed(), operation=b"GetRow")
    assert (type(error), str(error)) == (AuthFailed, "Signature mismatch.")
    for header in (signing.SIGNATURE_V2, signing.SIGNATURE_V4):
        spoiled = [
            (name, b"blahblah" if name == header else value) for name, value in signed(v4=header.endswith(b"v4"))
        ]
        assert str(refusal(spoiled)) == "Signature mismatch."


@pytest.mark.parametrize(
    "date",
    [
        b"2026-11-23T15:24:25Z",
        b"2026-11-23T15:24:25.11233Z",
        b"2026-11-23T15:39:25.000Z",
        b"2026-11-23T15:09:25.000Z",
    ],
)
def test_dates_within_a_quarter_of_an_hour(date: bytes) -> None:
    assert GATE.admit(b"ListTable", signed({b"x-ots-date": date})).instance == "test"


@pytest.mark.parametrize("date", [b"2026-11-23T15:39:26.000Z", b"2026-11-23T15:09:24.000Z", b"2024-02-29T00:00:00.0Z"])
def test_dates_too_far_off(date: bytes) -> None:
    error = refusal(signed({b"x-ots-date": date}))
    assert isinstance(error, AuthFailed)
    assert str(error) == f"Mismatch between system time and x-ots-date: {date.decode()}."


@pytest.mark.parametrize("date", [b"blahblah", b"", b"2026-13-45T15:24:25.000Z", b"2026-11-23 15:24:25", b"\xff\x00"])
def test_what_is_no_date(date: bytes) -> None:
    error = refusal(signed({b"x-ots-date": date}))
    assert isinstance(error, ParameterInvalid)
    assert str(error).startswith("Invalid date format: ")
    assert str(error).isprintable()


def test_sign_date_must_be_a_day() -> None:
    assert str(refusal(signed({signing.SIGN_DATE: b"2026-11-23"}, v4=True))) == "Invalid date format: 2026-11-23."


def test_api_version() -> None:
    assert str(refusal(signed({b"x-ots-apiversion": b"2014-08-08"}))) == "Unsupported API version: 2014-08-08."


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2100, 1, 1)), st.text("0123456789", max_size=12))
def test_dates_are_read_to_the_second(moment: datetime, fraction: str) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}" if fraction else "") + "Z"
    assert parse_date(text.encode()) == int(moment.timestamp())


# Bodies


def admission(body: bytes, *, compressed: bool = False, size: int | None = None) -> Admission:
    md5 = base64.b64encode(hashlib.md5(body).digest())
    return Admission("test", SECRET, md5, compressed, size)


def test_the_body_must_have_its_md5() -> None:
    assert open_body(admission(b"abc"), b"abc") == b"abc"
    with pytest.raises(AuthFailed, match="Mismatch between MD5 value of request body and x-ots-contentmd5 in header"):
        open_body(admission(b"abc"), b"abd")


@given(st.binary(max_size=3_000))
def test_compressed_bodies_are_unpacked(message: bytes) -> None:
    packed = zlib.compress(message)
    assert open_body(admission(packed, compressed=True), packed) == message
    assert open_body(admission(packed, compressed=True, size=len(message)), packed) == message
    with pytest.raises(ParameterInvalid, match="size"):
        open_body(admission(packed, compressed=True, size=len(message) + 1), packed)


@pytest.mark.parametrize("packed", [b"", b"not zlib", zlib.compress(b"x" * 99)[:-3], zlib.compress(b"x") + b"more"])
def test_malformed_compression_is_refused(packed: bytes) -> None:
    with pytest.raises(ParameterInvalid, match="compressed body is malformed"):
        open_body(admission(packed, compressed=True), packed)


def test_a_bomb_is_not_unpacked() -> None:
    at_limit = zlib.compress(bytes(limits.BODY_BYTES_MAX))
    assert len(open_body(admission(at_limit, compressed=True), at_limit)) == limits.BODY_BYTES_MAX
    bomb = zlib.compress(bytes(64 * limits.BODY_BYTES_MAX))
    with pytest.raises(RequestBodyTooLarge):
        open_body(admission(bomb, compressed=True), bomb)


def test_only_deflate_is_known() -> None:
    kind, size = b"x-ots-request-compress-type", b"x-ots-request-compress-size"
    assert str(refusal(signed({kind: b"gzip"}))) == "Unsupported compress type: gzip."
    assert isinstance(refusal(signed({kind: b"deflate", size: b"-1"})), ParameterInvalid)
    compressed = GATE.admit(b"ListTable", signed({kind: b"deflate", size: b"17"}))
    assert (compressed.is_compressed, compressed.uncompressed_bytes) == (True, 17)
