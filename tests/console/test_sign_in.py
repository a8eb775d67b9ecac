"""Signing in and out, forged forms, headers, limits: over HTTP, to a real server."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest
from support.console_client import ConsoleClient
from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ServerProcess

from lutra.console.policy import HEADERS


def test_the_root_leads_to_the_console_and_that_to_the_sign_in(console_server: ServerProcess) -> None:
    stranger = ConsoleClient(console_server.endpoint)
    address = urlsplit(console_server.endpoint)
    for path in ("/", "/console"):
        connection = http.client.HTTPConnection(address.hostname or "", address.port)
        connection.request("GET", path)
        response = connection.getresponse()
        assert (response.status, response.headers["location"]) == (302, "/console/")
        connection.close()
    answer = stranger.get("/i/test?x=1")
    assert answer.status == 303
    assert answer.headers["location"] == "/console/sign-in?to=%2Fconsole%2Fi%2Ftest%3Fx%3D1"


def test_the_key_opens_and_signing_out_ends_it_wherever_the_cookie_went(console_server: ServerProcess) -> None:
    client = ConsoleClient(console_server.endpoint)
    assert client.sign_in().status == 303
    assert "Instances" in client.get("/").text
    copied = ConsoleClient(console_server.endpoint, cookies=dict(client.cookies))
    assert copied.get("/").status == 200
    assert client.post("/sign-out", {}).status == 303
    assert "lutra_session" not in client.cookies
    assert copied.get("/").status == 303, "the copy of the cookie ended, too"


def test_after_signing_in_one_goes_on_where_one_was_and_never_to_another_site(console_server: ServerProcess) -> None:
    client = ConsoleClient(console_server.endpoint)
    for to, leads in (
        ("/console/i/test", "/console/i/test"),
        ("//evil.example/", "/console/"),
        ("https://evil.example/", "/console/"),
        ("/\\evil.example", "/console/"),
        ("/console/\r\nset-cookie: a=b", "/console/"),
    ):
        client.cookies.clear()
        client.get("/sign-in")
        form = {"access_key_id": ACCESS_KEY_ID, "secret": ACCESS_KEY_SECRET, "to": to}
        answer = client.post("/sign-in", form)
        assert (answer.status, answer.headers["location"]) == (303, leads)


def test_a_cookie_that_was_changed_shows_nothing(console: ConsoleClient) -> None:
    cookie = console.cookies["lutra_session"]
    whole, _, signature = cookie.rpartition(".")
    # Not its last sign: of that, base64 leaves two bits out.
    other = f"{whole}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    for forged in (other, cookie.split(".")[0], "", "x" * 5_000):
        stranger = ConsoleClient(console.endpoint, cookies={"lutra_session": forged})
        assert stranger.get("/").status == 303


@pytest.mark.parametrize("how", ["none", "wrong", "of another", "from another site"])
def test_a_forged_form_changes_nothing(console: ConsoleClient, how: str) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    token = console.token
    if how == "none":
        token = ""
    elif how == "wrong":
        token = token[::-1]
    elif how == "of another":
        other = ConsoleClient(console.endpoint)
        other.sign_in()
        token = other.token
    else:
        headers["origin"] = "http://evil.example"
    console.headers = headers
    answer = console.post("/sign-out", {"csrf_token": token})
    assert answer.status == 403
    assert "OTSAuthFailed" in answer.text
    console.headers = {}
    assert console.get("/").status == 200, "still signed in"


def test_scripts_that_are_not_signed_in_get_json(console_server: ServerProcess) -> None:
    answer = ConsoleClient(console_server.endpoint).get("/", as_json=True)
    assert answer.status == 401
    assert answer.json()["code"] == "OTSAuthFailed"


def test_cookies_are_for_this_site_and_not_for_scripts(console_server: ServerProcess) -> None:
    address = urlsplit(console_server.endpoint)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    connection.request("GET", "/console/sign-in")
    response = connection.getresponse()
    [cookie] = response.headers.get_all("set-cookie") or []
    connection.close()
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


def test_every_answer_has_the_policy_and_no_secret(console: ConsoleClient) -> None:
    for path in ("/", "/i/test", "/no-such-page", "/i/nowhere", "/sign-in"):
        answer = console.get(path)
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, path
        assert ACCESS_KEY_SECRET not in answer.html
    policy = HEADERS["content-security-policy"]
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy


def test_what_is_not_there_is_told(console: ConsoleClient) -> None:
    assert console.get("/no-such-page").status == 404
    assert console.get("/i/nowhere").status == 404
    missing = console.get("/i/test/t/<script>alert(1)<%2Fscript>")
    assert missing.status == 404
    assert "<script>alert" not in missing.html


def test_forms_are_bounded(console: ConsoleClient) -> None:
    answer = console.post("/", {"to": "x" * (5 * 1024 * 1024)})
    assert answer.status == 413
    answer = console.post("/", [(f"f{number}", "") for number in range(6_000)])
    assert answer.status == 400
    console.headers = {"content-type": "text/plain"}
    assert console._send("POST", "/", b"to=x", {}).status == 400


def test_languages_and_colours_are_kept(console: ConsoleClient) -> None:
    console.headers = {"accept-language": "fr;q=0.9, zh-CN, en;q=0.1"}
    assert 'lang="zh"' in console.get("/").html
    console.post("/preferences", {"lutra_language": "en", "lutra_theme": "dark", "to": "/console/"})
    page = console.get("/").html
    assert '<html lang="en" data-theme="dark">' in page
    console.post("/preferences", {"lutra_language": "<x>", "lutra_theme": "pink", "to": "//evil.example"})
    assert '<html lang="en" data-theme="dark">' in console.get("/").html


def test_static_files_are_kept_and_nothing_else_is_given(console_server: ServerProcess) -> None:
    stranger = ConsoleClient(console_server.endpoint)
    page = stranger.get("/sign-in").html
    address = page.split('rel="stylesheet" href="')[1].split('"')[0]
    answer = stranger.get(address)
    assert answer.status == 200
    assert "immutable" in answer.headers["cache-control"]
    version = address.split("/")[3]
    assert stranger.get(address.replace(version, "old")).headers["cache-control"] == "no-cache"
    for name in ("../app.py", "..%2Fapp.py", "%2e%2e/app.py", "", "vendor", "no.css", "console.css/x"):
        assert stranger.get(f"/static/{version}/{name}").status == 404, name


def test_wrong_keys_slow_down_whoever_tries(tmp_path_factory: pytest.TempPathFactory) -> None:
    with ServerProcess(tmp_path_factory.mktemp("guessed") / "data") as server:
        guesser = ConsoleClient(server.endpoint)
        statuses = [guesser.sign_in(secret=f"wrong {number}").status for number in range(6)]
        assert statuses == [403] * 5 + [429]
        answer = guesser.sign_in()
        assert answer.status == 429, "the right key is not looked at, either"
        assert 1 <= int(answer.headers["retry-after"]) <= 300
        assert "secret" not in server.log_path.read_text().lower()


def test_no_console_where_none_is_wanted(tmp_path_factory: pytest.TempPathFactory) -> None:
    with ServerProcess(tmp_path_factory.mktemp("none") / "data", arguments=("--no-console",)) as server:
        stranger = ConsoleClient(server.endpoint)
        assert stranger.get("/sign-in").status == 405
        assert stranger.get("/").status == 405


def test_who_has_not_signed_in_can_send_little(console_server: ServerProcess) -> None:
    stranger = ConsoleClient(console_server.endpoint)
    stranger.get("/sign-in")
    for path in ("/sign-in", "/preferences"):
        assert stranger.post(path, {"to": "x" * 300_000}).status == 413
        assert stranger.post(path, [("to", "x")] * 100).status == 400
        parts = b'--x\r\ncontent-disposition: form-data; name="a"; filename="b"\r\n\r\nc\r\n' * 100 + b"--x--\r\n"
        sent = {"content-type": "multipart/form-data; boundary=x"}
        assert stranger._send("POST", path, parts, sent).status == 400
    assert stranger.sign_in().status == 303


def test_addresses_are_taken_as_they_are(console: ConsoleClient) -> None:
    """None leads to another one, whose name would be the client's to choose."""
    for path in ("/i/test/", "//i/test", "/i/test/../test", "/status/"):
        stranger = ConsoleClient(console.endpoint, headers={"host": "evil.example"})
        answer = stranger.get(path)
        assert answer.status == 303
        assert answer.headers["location"].startswith("/console/sign-in?to=%2Fconsole%2F")
        assert console.get(path).status == 404
        assert console.get(path).headers["content-security-policy"]
