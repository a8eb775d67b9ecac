"""A visitor of an example's page who has no window: cookies, forms and their tokens, over HTTP."""

from __future__ import annotations

import http.client
import json
import re
import secrets
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import urlsplit

_TOKEN = re.compile(r'name="csrf-token" content="([^"]*)"')


@dataclass(frozen=True, slots=True)
class PageAnswer:
    """``headers`` by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def html(self) -> str:
        return self.body.decode()

    @property
    def text(self) -> str:
        """The page, its character references resolved."""
        return unescape(self.html)

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Visitor:
    """Requests to one page, with its cookies and the token of its forms."""

    address: str
    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""

    def get(self, path: str, **headers: str) -> PageAnswer:
        answer = self._send("GET", path, b"", headers)
        if found := _TOKEN.search(answer.body.decode(errors="replace")):
            self.token = found[1]
        return answer

    def get_json(self, path: str) -> Any:
        return self.get(path, accept="application/json").json()

    def post(
        self, path: str, fields: dict[str, str], files: dict[str, bytes] | None = None, **headers: str
    ) -> PageAnswer:
        """Sends a form as a browser does, with its token unless it has one."""
        boundary = secrets.token_hex(16)
        named = [(f'name="{name}"', value.encode()) for name, value in ({"csrf_token": self.token} | fields).items()]
        named += [(f'name="{name}"; filename="{name}"', content) for name, content in (files or {}).items()]
        parts = [
            f"--{boundary}\r\ncontent-disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"
            for head, content in named
        ]
        body = b"".join([*parts, f"--{boundary}--\r\n".encode()])
        return self._send("POST", path, body, {"content-type": f"multipart/form-data; boundary={boundary}"} | headers)

    def _send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> PageAnswer:
        parts = urlsplit(self.address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        try:
            connection.request(method, path, body or None, {"cookie": cookies, **headers})
            response = connection.getresponse()
            for header, value in response.getheaders():
                if header.lower() == "set-cookie":
                    name, _, rest = value.partition("=")
                    self.cookies[name] = rest.partition(";")[0]
            known = {name.lower(): value for name, value in response.getheaders()}
            return PageAnswer(response.status, known, response.read())
        finally:
            connection.close()
