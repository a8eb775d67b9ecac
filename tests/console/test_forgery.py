"""Every action, sent by somebody else in one's name; and every page, which changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import urlencode

import pytest
import tablestore as ots
from starlette.routing import Route
from support.console_client import Answer, ConsoleClient
from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ServerProcess
from support.waiting import wait_until

from lutra.console.app import PAGES
from lutra.console.context import ConsoleContext
from lutra.console.routing import Passage

ROUTES = [cast(Route, make(Passage(cast(ConsoleContext, None)))) for module in PAGES for make in module.ROUTES]
ACTIONS = [route for route in ROUTES if "POST" in (route.methods or ())]
SHOWN = [route for route in ROUTES if "GET" in (route.methods or ())]
KEY = '["a"]'
FORM = {
    "name": "made",
    "typed": "t",
    "key": KEY,
    "confirmed": "1",
    "start": "1",
    "table": "imported",
    "to": "/console/",
    "lutra_language": "zh",
    "seen": "{}",
    "key-0": "b",
    "access_key_id": ACCESS_KEY_ID,
    "secret": ACCESS_KEY_SECRET,
}
"""What most actions ask for."""


class Target:
    """A server with something of all that pages are about."""

    def __init__(self, server: ServerProcess) -> None:
        self.data_dir = server.data_dir
        self.endpoint = server.endpoint
        self.sdk = ots.OTSClient(server.endpoint, ACCESS_KEY_ID, ACCESS_KEY_SECRET, "test")
        meta = ots.TableMeta("t", [("pk", "STRING")], [("year", "INTEGER")])
        options = ots.TableOptions(allow_update=False)
        none = ots.ReservedThroughput(ots.CapacityUnit(0, 0))
        self.sdk.create_table(meta, options, none, secondary_indexes=[ots.SecondaryIndexMeta("by_year", ["year"], [])])
        vector = ots.VectorOptions(
            data_type=ots.VectorDataType.VD_FLOAT_32, dimension=2, metric_type=ots.VectorMetricType.VM_EUCLIDEAN
        )
        fields = [ots.FieldSchema("v", ots.FieldType.VECTOR, vector_options=vector)]
        self.sdk.create_search_index("t", "found", ots.SearchIndexMeta(fields))
        row = ots.Row([("pk", "a")], [("year", 1), ("v", "[1,2]"), ("pic", bytearray(b"GIF89a"))])
        self.sdk.put_row("t", row, ots.Condition(ots.RowExistenceExpectation.IGNORE))
        self.victim = self.signed_in()
        rows = self.victim.upload("/i/test/uploads?name=rows.csv", b"id,x\n1,2\n").json()["location"]
        begun = self.victim.post(rows, {"start": "1", "table": "before"})
        assert begun.status == 303, begun.text
        self.job = begun.headers["location"]
        wait_until(lambda: self.victim.get(f"{self.job}/state", as_json=True).json()["has_ended"])
        self.plan = self.victim.upload("/i/test/uploads?name=rows.csv", b"id,x\n1,2\n").json()["location"]

    def signed_in(self) -> ConsoleClient:
        client = ConsoleClient(self.endpoint)
        assert client.sign_in().status == 303
        return client

    def path(self, route: Route) -> str:
        """Of a route, about what there is."""
        parts: dict[str, str] = {"instance": "test", "table": "t", "index": "found", "version": "1"}
        parts |= {"name": "console.css", "upload": self.plan.split("/")[-1], "job": self.job.split("/")[-1]}
        if route.name == "drop_secondary":
            parts["index"] = "by_year"
        return str(route.url_path_for(route.name, **{name: parts[name] for name in route.param_convertors}))

    def state(self) -> Any:
        """All that an action could change."""
        tables = sorted(self.sdk.list_table())
        rows = {}
        for table in tables:
            meta = self.sdk.describe_table(table)
            low, high = (
                [(name, bound) for name, *_ in meta.table_meta.schema_of_primary_key]
                for bound in (ots.INF_MIN, ots.INF_MAX)
            )
            _, _, found, _ = self.sdk.get_range(table, ots.Direction.FORWARD, low, high, max_version=1)
            rows[table] = [(row.primary_key, row.attribute_columns) for row in found]
        return {
            "instances": sorted(path.name for path in (self.data_dir / "instances").iterdir()),
            "tables": tables,
            "rows": rows,
            "indexes": sorted(self.sdk.list_search_index("t")),
            "updates": self.sdk.describe_table("t").table_options.allow_update,
            "secondary": [one.index_name for one in self.sdk.describe_table("t").secondary_indexes],
            "upload": self.victim.get(self.plan).status,
            "uploads": sorted(path.name for path in (self.data_dir / "uploads").iterdir()),
            "jobs": self.victim.get("/jobs").text.count("/console/jobs/"),
            "cookies": dict(self.victim.cookies),
        }


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with ServerProcess(tmp_path_factory.mktemp("forgery") / "data") as server:
        yield Target(server)


def sent(client: ConsoleClient, path: str, token: str | None, headers: dict[str, str]) -> Answer:
    """As a form with the token in it, and in the header for what has none."""
    form = {**FORM, **({"csrf_token": token} if token is not None else {})}
    kind = {"content-type": "application/x-www-form-urlencoded"}
    if token is not None:
        kind["x-csrf-token"] = token
    return client._send("POST", path, urlencode(form).encode(), {**kind, **headers})


def test_there_are_actions_and_pages() -> None:
    assert len(ACTIONS) >= 17
    assert len(SHOWN) >= 25
    assert all((route.methods or set()) <= {"POST"} for route in ACTIONS), (
        "what changes something is asked by POST alone"
    )


@pytest.mark.parametrize("route", ACTIONS, ids=[route.name for route in ACTIONS])
def test_no_action_is_done_in_the_name_of_somebody(target: Target, route: Route) -> None:
    before = target.state()
    path, victim = target.path(route), target.victim
    other = target.signed_in()
    stranger = ConsoleClient(target.endpoint)
    stranger.get("/sign-in")
    for token, headers in (
        (None, {}),
        ("", {}),
        (other.token, {}),
        (stranger.token, {}),
        (victim.token[:-1], {}),
        (victim.token, {"origin": "http://evil.example"}),
        (victim.token, {"origin": "null"}),
        (victim.token, {"origin": f"{target.endpoint}.evil.example"}),
    ):
        kept = dict(victim.cookies)
        answer = sent(victim, path, token, headers)
        victim.cookies.clear()
        victim.cookies.update(kept)
        assert answer.status == 403, (token, headers, answer.text)
        assert "OTSAuthFailed" in answer.text
        assert "lutra_session" not in answer.headers.get("set-cookie", "")
    is_open = route.name in ("sign_in_sent", "preferences")
    for client in (ConsoleClient(target.endpoint), ConsoleClient(target.endpoint, {"lutra_session": "a.b.c"})):
        answer = sent(client, path, victim.token, {})
        assert answer.status == (403 if is_open else 401)
    assert target.state() == before


def test_no_page_changes_anything(target: Target) -> None:
    before = target.state()
    queries = ("", f"?{urlencode({'key': KEY, 'column': 'pic', 'field': 'v', 'range': 'day', 's': '{}'})}")
    for route in SHOWN:
        for query in queries:
            for method in ("GET", "HEAD"):
                answer = target.victim._send(method, target.path(route) + query, None, {})
                assert answer.status < 500, (method, route.path, answer.text)
    time.sleep(0.1)
    assert target.state() == before


def test_the_same_forms_with_their_token_are_done(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Else the refusals above would say nothing."""
    with ServerProcess(tmp_path_factory.mktemp("genuine") / "data") as server:
        target = Target(server)
        routes = {route.name: route for route in ACTIONS}
        for name in ("create_instance", "rows_delete", "row_inserted", "import_planned"):
            before = target.state()
            answer = sent(target.victim, target.path(routes[name]), target.victim.token, {"origin": target.endpoint})
            assert answer.status == 303, (name, answer.text)
            target.victim.get("/")  # which shows what was said, and forgets it
            assert target.state() != before, name
        answer = sent(target.victim, target.path(routes["preferences"]), target.victim.token, {})
        assert "lutra_language" in answer.headers["set-cookie"]
        assert sent(target.victim, target.path(routes["delete_table"]), target.victim.token, {}).status == 303
        assert "t" not in target.sdk.list_table()
