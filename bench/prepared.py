"""Signed requests made by the official SDK before a measurement, so that the client is not what is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import urlsplit

from tablestore import OTSClient

from bench.server_process import ACCESS_KEY_ID, ACCESS_KEY_SECRET, INSTANCE


class _RecordedError(Exception):
    """Carries a request out of the SDK at the moment it would be sent."""

    def __init__(self, path: str, headers: dict[str, str], body: bytes) -> None:
        super().__init__(path)
        self.path, self.headers, self.body = path, headers, body


class _Recorder:
    def send_receive(self, path: str, headers: dict[str, str], body: bytes) -> None:
        raise _RecordedError(path, headers, body)


def client(endpoint: str) -> OTSClient:
    """The official client for a benchmark server."""
    return OTSClient(endpoint, ACCESS_KEY_ID, ACCESS_KEY_SECRET, INSTANCE)


def record(endpoint: str, calls: Iterable[Callable[[OTSClient], object]], path: Path) -> int:
    """Writes the requests that ``calls`` would send to ``path`` (format: replay.lua); returns how many."""
    recording = client(endpoint)
    recording.connection = _Recorder()
    host = urlsplit(endpoint).netloc
    count = 0
    with path.open("wb") as file:
        for call in calls:
            try:
                call(recording)
            except _RecordedError as request:
                data = _http(request, host)
                file.write(b"%08d" % len(data) + data)
                count += 1
            else:
                raise RuntimeError("the call sent nothing")
    return count


def _http(request: _RecordedError, host: str) -> bytes:
    body = bytes(request.body)
    lines = [f"POST {request.path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {_text(value)}" for name, value in request.headers.items() if name.lower() != "host"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
