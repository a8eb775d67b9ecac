"""Forms of pages as a browser without scripts would send them."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import quote

from support.console_client import ConsoleClient
from support.waiting import wait_until


def inputs(html: str) -> dict[str, str]:
    """What the fields of a page hold, by name; where forms have the same name, the last of them. Buttons are none."""
    reader = _Reader()
    reader.feed(html)
    return reader.found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._select = ""
        self._area = ""
        self._is_elsewhere = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name, kind = given.get("name", ""), given.get("type", "")
        if tag == "form":
            self._is_elsewhere = given.get("class") == "preferences"
        if self._is_elsewhere:
            return
        if tag == "input" and name and (kind not in ("checkbox", "radio") or "checked" in given):
            self.found[name] = given.get("value", "on")
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in given or self._select not in self.found):
            self.found[self._select] = given.get("value", "")
        elif tag == "textarea":
            self._area = name
            self.found[name] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea" and self._area:
            self.found[self._area] = self.found[self._area].removeprefix("\n")
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.found[self._area] += data


def imported(console: ConsoleClient, name: str, content: bytes, **form: str) -> str:
    """Sends a file and has it imported as it was planned; the address of the job, once that has ended."""
    sent = console.upload(f"/i/test/uploads?name={quote(name)}", content)
    assert sent.status == 200, sent.text
    plan = sent.json()["location"]
    page = console.get(plan)
    assert page.status == 200, page.text
    fields = inputs(page.html)
    fields.update({"start": "1", **form})
    begun = console.post(plan, fields)
    assert begun.status == 303, begun.text
    job = begun.headers["location"]
    wait_until(lambda: console.get(f"{job}/state", as_json=True).json()["has_ended"])
    return job
