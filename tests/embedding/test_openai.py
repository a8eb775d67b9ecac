"""Against a real HTTP server on the loopback, which plays one scripted answer after the other."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from lutra.embedding.embedder import EmbeddingError
from lutra.embedding.openai import OpenAIEmbedder
from lutra.model.errors import ParameterInvalid

Answer = Callable[["Handler", dict[str, Any]], None]


class Endpoint(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Answer] = []
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        answers = self.server.answers
        (answers.pop(0) if answers else vectors)(self, body)

    def send(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Keeps tests quiet."""


def vectors(handler: Handler, body: dict[str, Any]) -> None:
    """As the API answers, last first: the index counts, not the place."""
    data = [{"index": i, "embedding": [float(len(text)), float(i), 0.5]} for i, text in enumerate(body["input"])]
    handler.send(200, json.dumps({"data": data[::-1], "model": body["model"]}).encode())


def status(code: int, text: str = "", **headers: str) -> Answer:
    return lambda handler, body: handler.send(code, text.encode(), **headers)


def payload(content: object) -> Answer:
    return lambda handler, body: handler.send(200, json.dumps(content).encode())


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def embedder(endpoint: Endpoint, **options: Any) -> OpenAIEmbedder:
    return OpenAIEmbedder("a-model", 3, base_url=endpoint.url, **{"sleep": lambda s: None, **options})


def test_texts_go_in_batches_and_come_back_in_order(endpoint: Endpoint) -> None:
    found = embedder(endpoint, batch_texts=2).embed(["a", "bb", "ccc", "dddd", "eeeee"])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[1, 0, 0.5], [2, 1, 0.5], [3, 0, 0.5], [4, 1, 0.5], [5, 0, 0.5]])
    assert [body["input"] for _, _, body in endpoint.requests] == [["a", "bb"], ["ccc", "dddd"], ["eeeee"]]
    assert {(path, body["model"], body["encoding_format"]) for path, _, body in endpoint.requests} == {
        ("/v1/embeddings", "a-model", "float")
    }
    assert embedder(endpoint).embed([]).shape == (0, 3)


def test_the_key_comes_from_the_argument_or_the_environment(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    embedder(endpoint).embed(["a"])
    monkeypatch.setenv("OPENAI_API_KEY", "from-environment")
    embedder(endpoint).embed(["a"])
    embedder(endpoint, api_key="given").embed(["a"])
    sent = [headers.get("authorization") for _, headers, _ in endpoint.requests]
    assert sent == [None, "Bearer from-environment", "Bearer given"]


def test_what_passes_is_tried_again_with_growing_pauses(endpoint: Endpoint) -> None:
    endpoint.answers = [status(503), status(429, Retry_After="7"), status(500, Retry_After="Wed, 21 Oct 2026")]
    pauses: list[float] = []
    assert embedder(endpoint, sleep=pauses.append).embed(["abc"])[0, 0] == 3
    assert pauses == [0.5, 7, 2]


def test_a_long_retry_after_is_cut(endpoint: Endpoint) -> None:
    endpoint.answers = [status(429, Retry_After="86400")]
    pauses: list[float] = []
    embedder(endpoint, sleep=pauses.append).embed(["abc"])
    assert pauses == [30]


def test_tries_are_bounded(endpoint: Endpoint) -> None:
    endpoint.answers = [status(503, "overloaded")] * 10
    with pytest.raises(EmbeddingError, match="503 Service Unavailable: overloaded"):
        embedder(endpoint, attempts_max=3).embed(["abc"])
    assert len(endpoint.requests) == 3


@pytest.mark.parametrize("code", [400, 401, 404])
def test_a_refusal_is_not_tried_again(endpoint: Endpoint, code: int) -> None:
    endpoint.answers = [status(code, '{"error": "no such model"}')]
    with pytest.raises(EmbeddingError, match=rf"{code} .*no such model"):
        embedder(endpoint).embed(["abc"])
    assert len(endpoint.requests) == 1


def test_a_redirect_is_not_followed(endpoint: Endpoint) -> None:
    endpoint.answers = [status(302, Location=f"http://localhost:{endpoint.server_port}/elsewhere")]
    with pytest.raises(EmbeddingError, match="302"):
        embedder(endpoint, api_key="secret").embed(["abc"])
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    "content",
    [
        {"error": "x"},
        [],
        {"data": [{"index": 0, "embedding": "AAAA"}]},
        {"data": [{"index": 5, "embedding": [1, 2, 3]}]},
        {"data": []},
        {"data": [{"index": 0, "embedding": [1, 2, None]}]},
        {"data": [{"index": 0, "embedding": [1, 2, float("inf")]}]},
    ],
)
def test_an_answer_of_another_kind_is_refused(endpoint: Endpoint, content: object) -> None:
    endpoint.answers = [payload(content)]
    with pytest.raises(EmbeddingError, match=r"did not|gives vectors"):
        embedder(endpoint).embed(["abc"])


def test_vectors_of_another_dimension_are_refused(endpoint: Endpoint) -> None:
    endpoint.answers = [payload({"data": [{"index": 0, "embedding": [1, 2]}]})]
    with pytest.raises(EmbeddingError, match="vectors of 2 numbers for model 'a-model', not 3"):
        embedder(endpoint).embed(["abc"])


def test_an_answer_without_end_is_cut(endpoint: Endpoint) -> None:
    endpoint.answers = [lambda handler, body: handler.send(200, b" " * 1_000_000)]
    with pytest.raises(EmbeddingError, match="answered more than"):
        embedder(endpoint).embed(["abc"])


def test_an_answer_that_drips_runs_out_of_time(endpoint: Endpoint) -> None:
    def drip(handler: Handler, body: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b" ")
            time.sleep(0.02)

    endpoint.answers = [drip]
    with pytest.raises(EmbeddingError, match=r"no whole answer within 0\.2 s"):
        embedder(endpoint, timeout_s=0.2, attempts_max=1).embed(["abc"])


def test_nobody_there(endpoint: Endpoint) -> None:
    url = endpoint.url
    endpoint.server_close()
    with pytest.raises(EmbeddingError, match="cannot reach"):
        OpenAIEmbedder("a-model", 3, base_url=url, attempts_max=2, sleep=lambda s: None).embed(["abc"])


@pytest.mark.parametrize(
    "options",
    [{"dimension": 0}, {"dimension": 5000}, {"base_url": "file:///etc/passwd"}, {"batch_texts": 0}, {"timeout_s": 0}],
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ParameterInvalid):
        OpenAIEmbedder("a-model", **{"dimension": 3, **options})
