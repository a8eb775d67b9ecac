"""A browser without a window: cookies, forms and their tokens, over HTTP to a real console."""

from __future__ import annotations

import http.client
import json
import re
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import urlencode, urlsplit

from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET

PREFIX = "/console"
_TOKEN = re.compile(r'name="csrf-token" content="([^"]*)"')


@dataclass
class Answer:
    """``headers`` by lower-case name; of cookies `ConsoleClient.cookies` keeps track."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The page, its character references resolved."""
        return unescape(self.html)

    @property
    def html(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class ConsoleClient:
    """Requests to one server. Paths are those below ``/console``."""

    endpoint: str
    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def sign_in(self, access_key_id: str = ACCESS_KEY_ID, secret: str = ACCESS_KEY_SECRET) -> Answer:
        self.get("/sign-in")
        answer = self.post("/sign-in", {"access_key_id": access_key_id, "secret": secret, "to": ""})
        if answer.status == 303:
            self.get("/")  # for the token of those who have signed in
        return answer

    def get(self, path: str, *, as_json: bool = False) -> Answer:
        answer = self._send("GET", path, None, {"accept": "application/json"} if as_json else {})
        if found := _TOKEN.search(answer.body.decode(errors="replace")):
            self.token = found[1]
        return answer

    def post(self, path: str, form: dict[str, Any] | list[tuple[str, Any]], *, as_json: bool = False) -> Answer:
        """Sends a form with its token, unless it has one."""
        fields = list(form.items()) if isinstance(form, dict) else [*form]
        if not any(name == "csrf_token" for name, _ in fields):
            fields.append(("csrf_token", self.token))
        headers = {"content-type": "application/x-www-form-urlencoded"}
        if as_json:
            headers["accept"] = "application/json"
        return self._send("POST", path, urlencode(fields).encode(), headers)

    def upload(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> Answer:
        """Sends a file as the body itself; the token goes in a header."""
        sent = {"x-csrf-token": self.token, "accept": "application/json", "content-type": "application/octet-stream"}
        return self._send("POST", path, body, {**sent, **(headers or {})})

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        address = urlsplit(self.endpoint)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {**({"cookie": cookies} if cookies else {}), **self.headers, **headers}
        try:
            connection.request(method, path if path.startswith(PREFIX) else PREFIX + path, body, sent)
            response = connection.getresponse()
            for value in response.headers.get_all("set-cookie") or []:
                name, _, rest = value.partition("=")
                content = rest.partition(";")[0]
                if "max-age=0" in rest.lower():
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = content
            return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, response.read())
        finally:
            connection.close()
