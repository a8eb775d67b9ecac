"""Against a real HTTP server on the loopback, which plays one scripted answer after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support.embedding_service import Endpoint, Handler, cut_off, drip, payload, serving, status

from lutra.embedding.embedder import EmbeddingBusy, EmbeddingError, ModelUnusable
from lutra.embedding.openai import OpenAIEmbedder
from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import ParameterInvalid, RequestTimeout


def vectors(handler: Handler, body: dict[str, Any]) -> None:
    """As the API answers, last first: the index counts, not the place."""
    data = [{"index": i, "embedding": [float(len(text)), float(i), 0.5]} for i, text in enumerate(body["input"])]
    handler.send(200, json.dumps({"data": data[::-1], "model": body["model"]}).encode())


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving(vectors) as server:
        yield server


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


def test_an_answer_that_is_cut_off_is_asked_for_again(endpoint: Endpoint) -> None:
    endpoint.answers = [cut_off]
    assert embedder(endpoint).embed(["abc"])[0, 0] == 3
    endpoint.answers = [cut_off] * 4
    with pytest.raises(EmbeddingBusy, match="the answer ends after 10 of 1,000 bytes"):
        embedder(endpoint).embed(["abc"])


def test_what_it_raises_says_whether_others_may_go_on(endpoint: Endpoint) -> None:
    """Of one batch, of all there is, or of this moment; and the key is never told."""
    for code, kind in [(400, EmbeddingError), (413, EmbeddingError), (401, ModelUnusable), (404, ModelUnusable)]:
        endpoint.answers = [status(code, "the key sekret is not known")]
        with pytest.raises(EmbeddingError, match=r"the key \*\*\* is not known") as raised:
            embedder(endpoint, api_key="sekret").embed(["abc"])
        assert type(raised.value) is kind
    endpoint.answers = [status(429, Retry_After="9")] * 4
    with pytest.raises(EmbeddingBusy) as busy:
        embedder(endpoint).embed(["abc"])
    assert busy.value.pause_s == 9


def test_shorter_vectors_are_asked_for(endpoint: Endpoint) -> None:
    for model, dimension, asked in [
        ("text-embedding-3-small", 3, 3),
        ("text-embedding-ada-002", 3, None),
        ("nomic", 3, None),
    ]:
        OpenAIEmbedder(model, dimension, base_url=endpoint.url).embed_query(["abc"])
        assert endpoint.requests[-1][2].get("dimensions") == asked


def test_a_request_that_nobody_waits_for_ends(endpoint: Endpoint) -> None:
    endpoint.answers = [status(503)] * 3
    deadline = Deadline(0.3)
    with working_for(deadline), pytest.raises(RequestTimeout):
        OpenAIEmbedder("a-model", 3, base_url=endpoint.url).embed(["abc"])
    assert len(endpoint.requests) == 1


def test_a_key_is_in_no_error(endpoint: Endpoint) -> None:
    embedder(endpoint, api_key="sekret\n").embed(["a"])
    assert endpoint.requests[-1][1]["authorization"] == "Bearer sekret", "as a file has it that an editor wrote"
    for key in ("sekret\nHost: evil", "sek ret", "sekr\u00e9t", "sekret\x00"):
        with pytest.raises(ParameterInvalid) as refused:
            embedder(endpoint, api_key=key)
        assert "sek" not in str(refused.value)
    key = "sekret-" + "0123456789" * 10
    for before in (0, 450, 495):
        endpoint.answers = [status(401, "x" * before + key)]
        with pytest.raises(ModelUnusable) as told:
            embedder(endpoint, api_key=key).embed(["a"])
        assert "sek" not in str(told.value), before
