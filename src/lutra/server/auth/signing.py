"""Request and response signatures of the Tablestore protocol (protocol facts, 1.2 and 1.3). Pure functions of bytes.

V2 signs with HMAC-SHA1 and the secret itself. V4 derives a key for one day and region and signs with HMAC-SHA256.
Responses are signed with HMAC-SHA1 under the key the request was signed with.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterable
from typing import Final

HEADER_PREFIX: Final = b"x-ots-"
SIGNATURE_V2: Final = b"x-ots-signature"
SIGNATURE_V4: Final = b"x-ots-signaturev4"
SIGN_DATE: Final = b"x-ots-signdate"
SIGN_REGION: Final = b"x-ots-signregion"

_V4_PREFIX: Final = b"aliyun_v4"
_V4_PRODUCT: Final = b"ots"
_V4_TERMINATOR: Final = b"aliyun_v4_request"
_V4_SALT: Final = b"ots"


def string_to_sign(operation: bytes, header_lines: Iterable[bytes]) -> bytes:
    """What a request's signature covers: path, method, the empty query, and ``name:value`` lines in the given order."""
    return b"/%b\nPOST\n\n%b\n" % (operation, b"\n".join(header_lines))


def sign_v2(secret: bytes, text: bytes) -> bytes:
    """The value of ``x-ots-signature`` for a string to sign."""
    return b64encode(hmac.digest(secret, text, "sha1"))


def v4_key(secret: bytes, sign_date: bytes, region: bytes) -> bytes:
    """The signing key of one day (``YYYYMMDD``) and region: base64 text, itself the key."""
    key = _V4_PREFIX + secret
    for part in (sign_date, region, _V4_PRODUCT, _V4_TERMINATOR):
        key = hmac.digest(key, part, "sha256")
    return b64encode(key)


def sign_v4(key: bytes, text: bytes) -> bytes:
    """The value of ``x-ots-signaturev4`` for a string to sign and a key from `v4_key`."""
    return b64encode(hmac.digest(key, text + _V4_SALT, "sha256"))


def sign_response(key: bytes, operation: bytes, header_lines: bytes) -> bytes:
    """The signature in a response's ``Authorization``: over its sorted ``x-ots-*`` lines, then the path."""
    return b64encode(hmac.digest(key, b"%b\n/%b" % (header_lines, operation), "sha1"))


def header_lines(headers: dict[bytes, bytes], signature_header: bytes) -> list[bytes]:
    """The lines a request signs, sorted as whole lines; ``headers`` are the ``x-ots-*`` ones, names in lower case."""
    return sorted(b"%b:%b" % item for item in headers.items() if item[0] != signature_header)


def verify(key: bytes, operation: bytes, headers: dict[bytes, bytes], signature_header: bytes) -> bool:
    """Whether a request carries the right signature. ``key`` is the secret (V2) or a key from `v4_key`.

    SDKs sort either whole lines (Python) or header names (Java), which differ where one name is the start of another:
    both orders are accepted.
    """
    sign = sign_v4 if signature_header == SIGNATURE_V4 else sign_v2
    given = headers[signature_header]
    by_line = header_lines(headers, signature_header)
    if hmac.compare_digest(sign(key, string_to_sign(operation, by_line)), given):
        return True
    by_name = [b"%b:%b" % item for item in sorted(headers.items()) if item[0] != signature_header]
    if by_name == by_line:
        return False
    return hmac.compare_digest(sign(key, string_to_sign(operation, by_name)), given)
