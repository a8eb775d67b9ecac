"""Signatures: what the real SDKs sent, and an independent construction from the protocol's description."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import wire_client

from lutra.server.auth import signing

SECRET = b"testsk"
COMMON = {
    b"x-ots-accesskeyid": b"testak",
    b"x-ots-apiversion": b"2015-12-31",
    b"x-ots-contentmd5": b"1B2M2Y8AsgTpgAmY7PhCfg==",
}
PYTHON_DATE = b"2026-11-23T15:24:25.000Z"

# Captured from the SDKs named (protocol facts, 1.2).
V2_VECTORS = {
    "Python": (
        {b"x-ots-date": PYTHON_DATE, b"x-ots-instancename": b"ok"},
        b"m8gs1lITIiPJ9p9kHR7CoJei4fM=",
    ),
    "Python with STS": (
        {b"x-ots-date": PYTHON_DATE, b"x-ots-instancename": b"sts", b"x-ots-ststoken": b"tok"},
        b"Z8DWrrAtMKjSOsI0mJ4ybzkxJvY=",
    ),
    "Go": (
        {b"x-ots-date": b"2026-11-23T15:25:20.11233Z", b"x-ots-instancename": b"ok"},
        b"cfHefxHR6F+8fNYcOQmD1hZA/+0=",
    ),
    "Java": (
        {
            b"x-ots-date": b"2026-11-23T15:25:22.906Z",
            b"x-ots-instancename": b"ok",
            b"x-ots-sdk-traceid": b"8555750a-b464-8bb0-6c1b-d76874f7de93",
            b"x-ots-trace-threshold": b"500",
        },
        b"FXWrMIRocnZYCY6IUlT+enG0MyA=",
    ),
}
V4_HEADERS = COMMON | {
    b"x-ots-date": PYTHON_DATE,
    b"x-ots-instancename": b"v4",
    b"x-ots-signdate": b"20261123",
    b"x-ots-signregion": b"cn-hangzhou",
}
V4_SIGNATURE = b"dVfzjGEX92N4pyH9iGbqpzFODUiubx4f50z/cl9Zcyg="


@pytest.mark.parametrize("sdk", V2_VECTORS)
def test_v2_of_the_sdks(sdk: str) -> None:
    headers, signature = V2_VECTORS[sdk]
    signed = COMMON | headers | {signing.SIGNATURE_V2: signature}
    assert signing.verify(SECRET, b"ListTable", signed, signing.SIGNATURE_V2)
    assert not signing.verify(b"another", b"ListTable", signed, signing.SIGNATURE_V2)
    assert not signing.verify(SECRET, b"GetRow", signed, signing.SIGNATURE_V2)


def test_v4_of_the_python_sdk() -> None:
    key = signing.v4_key(SECRET, b"20261123", b"cn-hangzhou")
    signed = V4_HEADERS | {signing.SIGNATURE_V4: V4_SIGNATURE}
    assert signing.verify(key, b"ListTable", signed, signing.SIGNATURE_V4)
    for other in ((b"20261124", b"cn-hangzhou"), (b"20261123", b"cn-beijing")):
        assert not signing.verify(signing.v4_key(SECRET, *other), b"ListTable", signed, signing.SIGNATURE_V4)


_NAMES = st.text(alphabet=string.ascii_lowercase + string.digits + "-", min_size=1, max_size=12).map("x-ots-".__add__)
_VALUES = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=30)


@given(
    secret=st.text(alphabet=st.characters(min_codepoint=1, max_codepoint=255), min_size=1, max_size=80),
    operation=st.text(alphabet=string.ascii_letters, min_size=1, max_size=20),
    headers=st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=12),
    v4=st.none() | st.tuples(st.text(alphabet=string.digits, min_size=8, max_size=8), _VALUES.filter(bool)),
    by_name=st.booleans(),
    spoiled=st.sampled_from(["nothing", "signature", "header", "operation", "secret"]),
)
def test_any_request_signed_as_described_is_accepted_and_no_other(
    secret: str, operation: str, headers: dict[str, str], v4: tuple[str, str] | None, by_name: bool, spoiled: str
) -> None:
    signature_header = signing.SIGNATURE_V2 if v4 is None else signing.SIGNATURE_V4
    headers.pop(signature_header.decode(), None)
    text = wire_client.string_to_sign(operation, headers, by_name=by_name)
    described_key = wire_client.signing_key(secret, v4)
    signature = wire_client.signature(described_key, text, is_v4=v4 is not None)
    sent = {name.encode(): value.encode() for name, value in headers.items()} | {signature_header: signature.encode()}
    if spoiled == "signature":
        sent[signature_header] = (b"B" if signature[0] == "A" else b"A") + signature[1:].encode()
    elif spoiled == "header":
        sent[b"x-ots-added-later"] = b"1"
    elif spoiled == "operation":
        operation += "x"
    elif spoiled == "secret":
        secret += "x"
    encoded = secret.encode("latin-1")
    key = encoded if v4 is None else signing.v4_key(encoded, v4[0].encode(), v4[1].encode())
    assert signing.verify(key, operation.encode(), sent, signature_header) == (spoiled == "nothing")


def test_response_signature_is_what_the_sdk_computes() -> None:
    from tablestore.auth import SignV2

    headers = {
        "x-ots-contentmd5": "1B2M2Y8AsgTpgAmY7PhCfg==",
        "x-ots-contenttype": "protocol buffer",
        "x-ots-date": "2026-11-23T15:24:25.000000Z",
        "x-ots-requestid": "abc-1",
    }
    lines = "\n".join(f"{name}:{value}" for name, value in headers.items()).encode()
    expected = SignV2("utf8").make_response_signature("/GetRow", headers, "testsk")
    assert signing.sign_response(SECRET, b"GetRow", lines).decode() == expected
