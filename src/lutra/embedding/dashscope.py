"""Vectors from Alibaba Cloud's Model Studio (DashScope), by its own protocol, which tells questions from passages.

Texts: POST {base_url}/services/embeddings/text-embedding/text-embedding with ``{"model", "input": {"texts"},
"parameters": {"text_type", "dimension"}}`` answers ``{"output": {"embeddings": [{"text_index", "embedding"}]}}``.
Pictures and texts in one space: POST {base_url}/services/embeddings/multimodal-embedding/multimodal-embedding with
``{"model", "input": {"contents": [{"image"}, {"text"}]}}`` answers ``{"output": {"embeddings": [{"index",
"embedding"}]}}`` (help.aliyun.com/zh/model-studio, text and multimodal embedding).
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from lutra.embedding.embedder import Batching, EmbeddingError
from lutra.embedding.service import Found, ServiceEmbedder, batching
from lutra.embedding.waiting import pause
from lutra.model.errors import ParameterInvalid

DEFAULT_BASE_URL: Final = "https://dashscope.aliyuncs.com/api/v1"
KEY_VARIABLE: Final = "DASHSCOPE_API_KEY"
URL_VARIABLE: Final = "DASHSCOPE_BASE_URL"
DIMENSION_VARIABLE: Final = "DASHSCOPE_EMBEDDING_DIMENSION"
PICTURE_BYTES_MAX: Final = 3 * 1024 * 1024
_TEXT_PATH: Final = "/services/embeddings/text-embedding/text-embedding"
_MULTIMODAL_PATH: Final = "/services/embeddings/multimodal-embedding/multimodal-embedding"
_TEXT_DIMENSIONS: Final = {
    "text-embedding-v1": 1_536,
    "text-embedding-v2": 1_536,
    "text-embedding-v3": 1_024,
    "text-embedding-v4": 1_024,
}
_FIXED: Final = frozenset({"text-embedding-v1", "text-embedding-v2", "multimodal-embedding-v1"})
"""Models whose vectors have one length."""
_BATCH_TEXTS: Final = 10
_BATCH_TEXTS_OF: Final = {"text-embedding-v1": 25, "text-embedding-v2": 25}
_MULTIMODAL_DIMENSIONS: Final = {
    "multimodal-embedding-v1": 1_024,
    "tongyi-embedding-vision-plus": 1_152,
    "tongyi-embedding-vision-flash": 768,
}
_BATCH_CONTENTS: Final = 1
_BATCH_CONTENTS_OF: Final = {"tongyi-embedding-vision-plus": 8, "tongyi-embedding-vision-flash": 8}
_FORMATS: Final = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n\x1a\n": "png", b"BM": "bmp"}
"""Of pictures, by how they begin."""
_CALLS_AT_ONCE: Final = 4


class _DashScopeEmbedder(ServiceEmbedder):
    """A model of the service."""

    def _asked(
        self, noun: str, inputs: Sequence[Any], found: Found, parameters: Mapping[str, Any]
    ) -> npt.NDArray[np.float32]:
        """The vectors of inputs, which a request calls ``noun``."""
        asked = dict(parameters) if self._model in _FIXED else {**parameters, "dimension": self._dimension}
        return self._made(
            inputs, lambda batch: {"model": self._model, "input": {noun: batch}, "parameters": asked}, found
        )


class DashScopeTextEmbedder(_DashScopeEmbedder):
    """Asks for the vectors of texts, as many at a time as the model takes (10 or 25).

    Implements ``TextEmbedder``; thread-safe. ``dimension`` is asked for, of models that have several. ``api_key`` None
    takes the environment variable DASHSCOPE_API_KEY. Attempts are those of `lutra.embedding.openai.OpenAIEmbedder`.
    """

    def __init__(
        self,
        model: str,
        dimension: int,
        *,
        base_url: str = DEFAULT_BASE_URL,
        api_key: str | None = None,
        timeout_s: float = 30.0,
        attempts_max: int = 4,
        sleep: Callable[[float], object] = pause,
    ) -> None:
        super().__init__(
            model,
            dimension,
            batching(_BATCH_TEXTS_OF.get(model, _BATCH_TEXTS)),
            url=base_url.rstrip("/") + _TEXT_PATH,
            api_key=_key(api_key),
            timeout_s=timeout_s,
            attempts_max=attempts_max,
            sleep=sleep,
        )

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32 [len(texts), dimension], as documents. Raises EmbeddingError."""
        return self._vectors(texts, "document")

    def embed_query(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32 [len(texts), dimension], as queries. Raises EmbeddingError."""
        return self._vectors(texts, "query")

    def _vectors(self, texts: Sequence[str], text_type: Literal["document", "query"]) -> npt.NDArray[np.float32]:
        return self._asked("texts", texts, _texts, {"text_type": text_type})


class DashScopeMultimodalEmbedder(_DashScopeEmbedder):
    """Asks for the vectors of pictures, and of texts in the same space. Implements ``MultimodalEmbedder``; thread-safe.

    Pictures are JPEG, PNG or BMP of 3 MB at most. Arguments are those of `DashScopeTextEmbedder`.
    """

    def __init__(
        self,
        model: str,
        dimension: int,
        *,
        base_url: str = DEFAULT_BASE_URL,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        attempts_max: int = 4,
        sleep: Callable[[float], object] = pause,
    ) -> None:
        items = _BATCH_CONTENTS_OF.get(model, _BATCH_CONTENTS)
        super().__init__(
            model,
            dimension,
            Batching(items, items * PICTURE_BYTES_MAX, _CALLS_AT_ONCE),
            url=base_url.rstrip("/") + _MULTIMODAL_PATH,
            api_key=_key(api_key),
            timeout_s=timeout_s,
            attempts_max=attempts_max,
            sleep=sleep,
        )

    def embed(self, pictures: Sequence[bytes]) -> npt.NDArray[np.float32]:
        """float32 [len(pictures), dimension], of files' contents. Raises EmbeddingError."""
        return self._vectors([{"image": _data_url(picture)} for picture in pictures])

    def embed_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32 [len(texts), dimension]. Raises EmbeddingError."""
        return self._vectors([{"text": text} for text in texts])

    def _vectors(self, contents: Sequence[dict[str, str]]) -> npt.NDArray[np.float32]:
        return self._asked("contents", contents, _contents, {})


def _key(given: str | None) -> str | None:
    return given if given is not None else os.environ.get(KEY_VARIABLE)


def _data_url(picture: bytes) -> str:
    kind = next((name for begin, name in _FORMATS.items() if picture.startswith(begin)), None)
    if kind is None:
        raise EmbeddingError("a picture is JPEG, PNG or BMP for this service: this one is none of them")
    if len(picture) > PICTURE_BYTES_MAX:
        raise EmbeddingError(f"a picture of {len(picture):,} bytes: this service takes {PICTURE_BYTES_MAX:,} at most")
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def _texts(answer: Any) -> Iterator[tuple[int, Any]]:
    for item in answer["output"]["embeddings"]:
        yield item["text_index"], item["embedding"]


def _contents(answer: Any) -> Iterator[tuple[int, Any]]:
    for item in answer["output"]["embeddings"]:
        yield item["index"], item["embedding"]


def is_multimodal(model: str) -> bool:
    """Whether a model is asked for pictures as well as for texts."""
    return model in _MULTIMODAL_DIMENSIONS or "vision" in model or "multimodal" in model or "-vl-" in model


def opened(argument: str, dimension: int | None) -> DashScopeTextEmbedder | DashScopeMultimodalEmbedder:
    """The model of that name at DASHSCOPE_BASE_URL. Raises ParameterInvalid where nobody knows its dimension."""
    multimodal = is_multimodal(argument)
    own = (_MULTIMODAL_DIMENSIONS if multimodal else _TEXT_DIMENSIONS).get(argument)
    given = os.environ.get(DIMENSION_VARIABLE, "")
    known = own if argument in _FIXED else dimension or (int(given) if given.isdecimal() else own)
    if known is None:
        raise ParameterInvalid(
            f"how many numbers have the vectors of dashscope:{argument}? Declare the field with that dimension, or set "
            f"{DIMENSION_VARIABLE}"
        )
    base_url = os.environ.get(URL_VARIABLE) or DEFAULT_BASE_URL
    return (DashScopeMultimodalEmbedder if multimodal else DashScopeTextEmbedder)(argument, known, base_url=base_url)
