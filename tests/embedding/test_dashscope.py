"""Against a real HTTP server on the loopback that speaks the service's protocol."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support.embedding_service import Endpoint, Handler, cut_off, drip, payload, serving, status

import lutra
from lutra.embedding.dashscope import DashScopeMultimodalEmbedder, DashScopeTextEmbedder
from lutra.embedding.embedder import EmbeddingBusy, EmbeddingError, ModelUnusable, MultimodalEmbedder, TextEmbedder
from lutra.embedding.models import model_names, open_model
from lutra.model.errors import ParameterInvalid

PNG = b"\x89PNG\r\n\x1a\n"
TEXT_PATH = "/v1/services/embeddings/text-embedding/text-embedding"
MULTIMODAL_PATH = "/v1/services/embeddings/multimodal-embedding/multimodal-embedding"


def answer(handler: Handler, body: dict[str, Any]) -> None:
    """As the service answers, last first: [length, whether it is a query or a text, 0.5]."""
    if "texts" in body["input"]:
        is_query = float(body["parameters"]["text_type"] == "query")
        found = [
            {"text_index": i, "embedding": [len(text), is_query, 0.5]} for i, text in enumerate(body["input"]["texts"])
        ]
    else:
        found = [
            {"index": i, "type": kind, "embedding": [len(value), float(kind == "text"), 0.5]}
            for i, one in enumerate(body["input"]["contents"])
            for kind, value in one.items()
        ]
    content = {"output": {"embeddings": found[::-1]}, "usage": {"total_tokens": 1}, "request_id": "r"}
    handler.send(200, json.dumps(content).encode())


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving(answer) as server:
        yield server


def texts_of(endpoint: Endpoint, model: str = "text-embedding-v4", **options: Any) -> DashScopeTextEmbedder:
    return DashScopeTextEmbedder(
        model, 3, **{"base_url": endpoint.url, "api_key": "sekret", "sleep": lambda s: None, **options}
    )


def pictures_of(endpoint: Endpoint, model: str, **options: Any) -> DashScopeMultimodalEmbedder:
    return DashScopeMultimodalEmbedder(
        model, 3, **{"base_url": endpoint.url, "api_key": "sekret", "sleep": lambda s: None, **options}
    )


@pytest.mark.parametrize(
    ("model", "batch", "parameters"),
    [
        ("text-embedding-v4", 10, {"text_type": "document", "dimension": 3}),
        ("text-embedding-v3", 10, {"text_type": "document", "dimension": 3}),
        ("text-embedding-v2", 25, {"text_type": "document"}),
        ("text-embedding-v1", 25, {"text_type": "document"}),
    ],
)
def test_texts_go_as_the_model_takes_them(
    endpoint: Endpoint, model: str, batch: int, parameters: dict[str, Any]
) -> None:
    texts = ["x" * number for number in range(1, 31)]
    embedder = texts_of(endpoint, model)
    found = embedder.embed(texts)
    assert (found.dtype, found[:, 0].tolist(), found[:, 1].any()) == (np.float32, list(range(1, 31)), False)
    sizes = [len(body["input"]["texts"]) for _, _, body in endpoint.requests]
    assert sizes == [batch] * (30 // batch) + ([30 % batch] if 30 % batch else [])
    assert all(body["model"] == model and body["parameters"] == parameters for _, _, body in endpoint.requests)
    assert {(path, headers["authorization"]) for path, headers, _ in endpoint.requests} == {
        (TEXT_PATH, "Bearer sekret")
    }
    assert embedder.embed_query(["a"]).tolist() == [[1, 1, 0.5]]
    assert embedder.embed([]).shape == (0, 3)
    assert isinstance(embedder, TextEmbedder)


@pytest.mark.parametrize(
    ("model", "batch", "parameters"),
    [("multimodal-embedding-v1", 1, {}), ("tongyi-embedding-vision-plus", 8, {"dimension": 3})],
)
def test_pictures_and_words_of_one_space(
    endpoint: Endpoint, model: str, batch: int, parameters: dict[str, Any]
) -> None:
    embedder = pictures_of(endpoint, model)
    pictures = [PNG + bytes(number) for number in range(10)]
    assert embedder.embed(pictures)[:, 1].tolist() == [0] * 10
    contents = [one for _, _, body in endpoint.requests for one in body["input"]["contents"]]
    begin = "data:image/png;base64,"
    assert [base64.b64decode(one["image"].removeprefix(begin)) for one in contents] == pictures
    assert all(len(body["input"]["contents"]) <= batch for _, _, body in endpoint.requests)
    assert {path for path, _, _ in endpoint.requests} == {MULTIMODAL_PATH}
    assert endpoint.requests[0][2]["parameters"] == parameters
    assert embedder.embed_texts(["abc"]).tolist() == [[3, 1, 0.5]]
    assert embedder.embed([]).shape == (0, 3)
    assert isinstance(embedder, MultimodalEmbedder)
    assert not isinstance(embedder, TextEmbedder)


@pytest.mark.parametrize(
    ("picture", "complaint"), [(b"<svg/>", "JPEG, PNG or BMP"), (PNG + bytes(3 * 1024 * 1024), "3,145,728 at most")]
)
def test_pictures_that_it_does_not_take_are_not_sent(endpoint: Endpoint, picture: bytes, complaint: str) -> None:
    with pytest.raises(EmbeddingError, match=complaint):
        pictures_of(endpoint, "multimodal-embedding-v1").embed([picture])
    assert endpoint.requests == []


def test_what_passes_is_tried_again(endpoint: Endpoint) -> None:
    endpoint.answers = [
        status(429, '{"code": "Throttling.RateQuota"}'),
        status(500, Retry_After="3"),
        cut_off,
        status(503),
    ]
    pauses: list[float] = []
    assert texts_of(endpoint, sleep=pauses.append, attempts_max=5).embed(["abc"])[0, 0] == 3
    assert pauses == [0.5, 3, 2, 4]
    endpoint.answers = [status(429, "Throttling")] * 4
    with pytest.raises(EmbeddingBusy, match=r"429 .*Throttling"):
        texts_of(endpoint).embed(["abc"])


@pytest.mark.parametrize(("code", "kind"), [(400, EmbeddingError), (401, ModelUnusable), (403, ModelUnusable)])
def test_a_refusal_is_not_tried_again(endpoint: Endpoint, code: int, kind: type[Exception]) -> None:
    endpoint.answers = [status(code, '{"code": "InvalidApiKey", "message": "sekret is not known"}')]
    with pytest.raises(EmbeddingError, match=r"InvalidApiKey.*\*\*\* is not known") as raised:
        texts_of(endpoint).embed(["abc"])
    assert type(raised.value) is kind
    assert "sekret" not in str(raised.value)
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    "content",
    [
        {"code": "InternalError", "message": "x"},
        [],
        {"output": {"embeddings": []}},
        {"output": {"embeddings": [{"text_index": 0, "embedding": [1, 2]}]}},
        {"output": {"embeddings": [{"text_index": 3, "embedding": [1, 2, 3]}]}},
        {"output": {"embeddings": [{"text_index": 0, "embedding": [1, 2, None]}]}},
        {"output": {"embeddings": [{"embedding": [1, 2, 3]}]}},
    ],
)
def test_an_answer_of_another_kind_is_refused(endpoint: Endpoint, content: object) -> None:
    endpoint.answers = [payload(content)]
    with pytest.raises(EmbeddingError, match=r"did not|gives vectors of 2"):
        texts_of(endpoint).embed(["abc"])


def test_an_answer_that_takes_too_long(endpoint: Endpoint) -> None:
    endpoint.answers = [drip]
    with pytest.raises(EmbeddingBusy, match=r"no whole answer within 0\.2 s"):
        texts_of(endpoint, timeout_s=0.2, attempts_max=1).embed(["abc"])


def test_by_its_name(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASHSCOPE_API_KEY", raising=False)
    monkeypatch.delenv("DASHSCOPE_EMBEDDING_DIMENSION", raising=False)
    monkeypatch.setenv("DASHSCOPE_BASE_URL", endpoint.url)
    with pytest.raises(EmbeddingError, match="set DASHSCOPE_API_KEY in the environment"):
        open_model("dashscope:text-embedding-v4")
    named = {(model.name, model.kind): model for model in model_names() if model.is_service}
    assert named["dashscope:MODEL", "text"].missing == "set DASHSCOPE_API_KEY in the environment"
    assert ("dashscope:VISION_MODEL", "picture") in named
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sekret")
    for name, dimension, expected in [
        ("text-embedding-v4", None, 1_024),
        ("text-embedding-v4", 64, 64),
        ("text-embedding-v2", 64, 1_536),
        ("tongyi-embedding-vision-plus", None, 1_152),
        ("multimodal-embedding-v1", 3, 1_024),
        ("qwen3-vl-embedding", 3, 3),
    ]:
        found = open_model(f"dashscope:{name}", dimension)
        assert found.dimension == expected
        assert isinstance(found, TextEmbedder) == name.startswith("text")
    with pytest.raises(ParameterInvalid, match="DASHSCOPE_EMBEDDING_DIMENSION"):
        open_model("dashscope:text-embedding-v99")


def test_a_table_with_it(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passages as documents, questions as queries; pictures are found by words."""
    monkeypatch.setenv("DASHSCOPE_BASE_URL", endpoint.url)
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sekret")
    fields = {
        "text": lutra.Text(),
        "picture": bytes,
        "said": lutra.Vector(3, "euclidean", embed="text", with_="dashscope:text-embedding-v3"),
        "seen": lutra.Vector(3, "euclidean", embed="picture", with_="dashscope:tongyi-embedding-vision-flash"),
    }
    with lutra.connect() as db:
        table = db.create_table("t", {"id": int}, fields)
        table.put_many({"id": n, "text": "x" * (n + 1), "picture": PNG + bytes(9 * n)} for n in range(25))
        assert [row["id"] for row in table.search("x" * 5, limit=1)] == [4]
        assert [row["id"] for row in table.search(PNG + bytes(27), limit=1)] == [3]
        assert len(table.search("words", field="seen", limit=1)) == 1
    asked = [body for path, _, body in endpoint.requests if path == TEXT_PATH]
    assert [body["parameters"]["text_type"] for body in asked] == ["document"] * 3 + ["query"]
    assert sorted(len(body["input"]["texts"]) for body in asked) == [1, 5, 10, 10]
