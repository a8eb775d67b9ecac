"""A client of the wire alone: signs as the protocol describes it, by code of its own, and sends any bytes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET

API_VERSION = "2015-12-31"


@dataclass(frozen=True)
class Answer:
    """``headers`` have names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def string_to_sign(operation: str, headers: dict[str, str], *, by_name: bool = False) -> str:
    """``by_name``: sorted by names, as Java does, else as whole lines, as Python does."""
    items = sorted(headers.items()) if by_name else sorted(headers.items(), key=lambda item: f"{item[0]}:{item[1]}")
    return f"/{operation}\nPOST\n\n" + "".join(f"{name}:{value.strip()}\n" for name, value in items)


def signing_key(secret: str, v4: tuple[str, str] | None) -> bytes:
    """The secret (V2), or the key of a date and region (V4)."""
    if v4 is None:
        return secret.encode("latin-1")
    key = b"aliyun_v4" + secret.encode("latin-1")
    for part in (*v4, "ots", "aliyun_v4_request"):
        key = hmac.new(key, part.encode("latin-1"), hashlib.sha256).digest()
    return base64.b64encode(key)


def signature(key: bytes, text: str, *, is_v4: bool) -> str:
    """The value of a request's signature header."""
    if is_v4:
        return base64.b64encode(hmac.new(key, (text + "ots").encode("latin-1"), hashlib.sha256).digest()).decode()
    return base64.b64encode(hmac.new(key, text.encode("latin-1"), hashlib.sha1).digest()).decode()


def response_signature(key: bytes, operation: str, headers: dict[str, str]) -> str:
    """What ``Authorization`` of a response must end with."""
    lines = sorted(f"{name}:{value}" for name, value in headers.items() if name.startswith("x-ots-"))
    text = "\n".join(lines) + f"\n/{operation}"
    return base64.b64encode(hmac.new(key, text.encode("latin-1"), hashlib.sha1).digest()).decode()


class WireClient:
    """One connection to a server, opened again where it was closed."""

    def __init__(self, endpoint: str, instance: str = "test", timeout_s: float = 30) -> None:
        address = urlsplit(endpoint)
        assert address.hostname is not None
        self._connection = http.client.HTTPConnection(address.hostname, address.port, timeout=timeout_s)
        self.instance = instance

    def close(self) -> None:
        self._connection.close()

    def headers(
        self,
        operation: str,
        body: bytes,
        changes: dict[str, str | None] | None = None,
        *,
        v4: tuple[str, str] | None = None,
        secret: str = ACCESS_KEY_SECRET,
    ) -> dict[str, str]:
        """A good request's headers with ``changes`` made before they are signed; None leaves one out."""
        headers: dict[str, str | None] = {
            "x-ots-date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "x-ots-apiversion": API_VERSION,
            "x-ots-accesskeyid": ACCESS_KEY_ID,
            "x-ots-instancename": self.instance,
            "x-ots-contentmd5": base64.b64encode(hashlib.md5(body).digest()).decode(),
        }
        if v4 is not None:
            headers |= {"x-ots-signdate": v4[0], "x-ots-signregion": v4[1]}
        signed = {name: value for name, value in (headers | (changes or {})).items() if value is not None}
        text = string_to_sign(operation, signed)
        name = "x-ots-signature" if v4 is None else "x-ots-signaturev4"
        return signed | {name: signature(signing_key(secret, v4), text, is_v4=v4 is not None)}

    def send(self, path: str, headers: dict[str, str], body: bytes = b"", method: str = "POST") -> Answer:
        """Sends a request as it is given."""
        self._connection.request(method, path, body=body, headers=headers)
        response = self._connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, names, response.read())

    def call(self, operation: str, body: bytes = b"", changes: dict[str, str | None] | None = None) -> Answer:
        """Sends a signed request."""
        return self.send(f"/{operation}", self.headers(operation, body, changes), body)
