"""A TCP proxy before an S3 server that lets requests about chosen names wait, for tests of who waits for whom."""

from __future__ import annotations

import re
import threading
from typing import Final
from urllib.parse import unquote

from support.flaky_proxy import FlakyProxy

_REQUEST: Final = re.compile(rb"(?:GET|HEAD|PUT|POST|DELETE) (\S+) HTTP/1\.[01]\r\n")
_LOOK_S: Final = 0.2


class StallingProxy(FlakyProxy):
    """Requests whose URL has a stalled part are not passed on until `release`; all others are, meanwhile.

    A client sends a request only once it has the reply to the one before, so each begins what is read of a connection.
    """

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self._part: str | None = None
        self._changed = threading.Condition()
        self.held = 0
        """Requests that were held up so far."""

    def stall(self, part: str) -> None:
        with self._changed:
            self._part = part

    def release(self) -> None:
        with self._changed:
            self._part = None
            self._changed.notify_all()

    def hold(self, data: bytes) -> None:
        found = _REQUEST.match(data)
        if found is None:
            return
        url = unquote(found[1].decode())
        with self._changed:
            if self._part is None or self._part not in url:
                return
            self.held += 1
            while self._part is not None and self._part in url and not self._is_over.is_set():
                self._changed.wait(_LOOK_S)
