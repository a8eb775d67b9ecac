"""Finished responses: the headers every one carries, and its signature (protocol facts, 1.3)."""

from __future__ import annotations

import itertools
import secrets
import time
from base64 import b64encode
from dataclasses import dataclass
from hashlib import md5

from lutra.model.clock import Clock
from lutra.server.auth.signing import sign_response

CONTENT_TYPE_PROTOBUF = b"protocol buffer"
CONTENT_TYPE_JSON = b"application/json"
US_PER_S = 1_000_000

Header = tuple[bytes, bytes]


@dataclass(slots=True)
class Response:
    """What goes back over HTTP. ``code`` is the error's, for counting; empty for a success."""

    status: int
    headers: list[Header]
    body: bytes
    code: str = ""


class RequestIds:
    """Gives each request an id of its own: a random part for the process, then a count."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(6)
        self._count = itertools.count(1)

    def next(self) -> str:
        return f"{self._prefix}-{next(self._count):012x}"


class Responder:
    """Puts headers and signature on bodies. Thread-safe."""

    def __init__(self, clock: Clock, access_key_id: str) -> None:
        self._clock = clock
        self._authorization = b"OTS %b:" % access_key_id.encode()
        self._date = (0, b"")

    def respond(
        self,
        status: int,
        body: bytes,
        *,
        request_id: str,
        operation: bytes,
        signing_key: bytes | None,
        code: str = "",
        as_json: bool = False,
    ) -> Response:
        """The response with ``body``, signed for ``operation`` where the caller has proved to hold a key.

        ``signing_key`` None leaves the signature out: nobody unproven gets anything made from the secret.
        """
        content_md5 = b64encode(md5(body, usedforsecurity=False).digest())
        content_type = CONTENT_TYPE_JSON if as_json else CONTENT_TYPE_PROTOBUF
        date = self._now()
        encoded_id = request_id.encode()
        headers = [
            (b"content-length", b"%d" % len(body)),
            (b"x-ots-contentmd5", content_md5),
            (b"x-ots-contenttype", content_type),
            (b"x-ots-date", date),
            (b"x-ots-requestid", encoded_id),
        ]
        if as_json:
            headers.append((b"content-type", CONTENT_TYPE_JSON))
        if signing_key is not None:
            # Sorted by name, and no name is the start of another: whole lines and names sort alike (Python, Java).
            lines = b"x-ots-contentmd5:%b\nx-ots-contenttype:%b\nx-ots-date:%b\nx-ots-requestid:%b" % (
                content_md5,
                content_type,
                date,
                encoded_id,
            )
            headers.append((b"authorization", self._authorization + sign_response(signing_key, operation, lines)))
        return Response(status, headers, body, code)

    def _now(self) -> bytes:
        """The time to the second, made once a second. Python reads the date with a fraction, so it has one."""
        second = self._clock.now_us() // US_PER_S
        if second != self._date[0]:
            self._date = (second, time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(second)).encode())
        return self._date[1]
