"""Who asks S3: said by variables, or refused at once; the metadata of a cloud is asked only where that is said."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import lutra
from lutra.model.errors import ParameterInvalid, StorageFailure
from lutra.objects.opening import open_store
from lutra.objects.s3 import S3Store

URL = "s3://bucket/prefix"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)


def test_without_credentials_it_says_what_to_set() -> None:
    for is_read_only in (True, False):
        with pytest.raises(ParameterInvalid) as told:
            open_store(URL, is_read_only=is_read_only)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED=false", "~/.aws", URL):
            assert name in str(told.value)


@pytest.mark.parametrize(
    ("given", "missing"),
    [("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")],
)
def test_half_a_key_is_refused(given: str, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(given, "x")
    monkeypatch.setenv(missing, "")
    with pytest.raises(ParameterInvalid, match=f"{given} is set, and {missing} is not"):
        S3Store(URL)


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
        {"AWS_SKIP_SIGNATURE": "true"},
        {"AWS_WEB_IDENTITY_TOKEN_FILE": "/dev/null", "AWS_ROLE_ARN": "arn"},
        {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/x"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1/x", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/x"},
        {"AWS_EC2_METADATA_DISABLED": "False"},
    ],
)
def test_any_source_that_is_named_is_taken(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    S3Store(URL)


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_WEB_IDENTITY_TOKEN_FILE": "/dev/null"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1/x"},
        {"AWS_EC2_METADATA_DISABLED": "true"},
        {"AWS_SKIP_SIGNATURE": "false"},
    ],
)
def test_what_would_end_at_the_metadata_service_is_refused(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ParameterInvalid, match="no credentials"):
        S3Store(URL)


@contextmanager
def metadata_service() -> Iterator[tuple[str, list[str]]]:
    """One that knows nobody: its address, and what it was asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def do_GET(self) -> None:
            self.do_PUT()

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


def test_the_metadata_service_is_asked_where_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with metadata_service() as (address, asked):
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", address)
        store = S3Store(URL, timeout_s=5.0, retries_max=0, retry_for_s=5.0)
        with pytest.raises(StorageFailure):
            store.list("")
        assert any("latest" in path for path in asked)


def test_the_embedded_door_says_the_same() -> None:
    with pytest.raises(ParameterInvalid, match=f"^{URL}: there are no credentials for S3"):
        lutra.connect(objects=URL)
