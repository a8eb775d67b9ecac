"""Vectors from any server that speaks OpenAI's embeddings API: OpenAI, vLLM, Ollama, text-embeddings-inference, …

The API: POST {base_url}/embeddings with ``{"model", "input": [texts], "encoding_format": "float"}`` answers ``{"data":
[{"index", "embedding"}]}`` (https://platform.openai.com/docs/api-reference/embeddings).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lutra.embedding.service import ServiceEmbedder, batching
from lutra.embedding.waiting import pause
from lutra.model.errors import ParameterInvalid

DEFAULT_BASE_URL: Final = "https://api.openai.com/v1"
KEY_VARIABLE: Final = "OPENAI_API_KEY"
URL_VARIABLE: Final = "OPENAI_BASE_URL"
DIMENSION_VARIABLE: Final = "OPENAI_EMBEDDING_DIMENSION"
_DIMENSIONS: Final = {
    "text-embedding-3-small": 1_536,
    "text-embedding-3-large": 3_072,
    "text-embedding-ada-002": 1_536,
}
_SHORTENED: Final = "text-embedding-3-"
"""Models whose vectors can be asked for shorter."""


class OpenAIEmbedder(ServiceEmbedder):
    """Asks an embeddings endpoint, a batch of texts at a time. Implements ``TextEmbedder``; thread-safe.

    ``dimension`` is the length of the model's vectors, checked on every answer; of OpenAI's own models that can
    shorten theirs, it is asked for. ``api_key`` None takes the environment variable OPENAI_API_KEY; without one, none
    is sent, as local servers need none. ``timeout_s`` bounds each attempt; an answer that says to try again (429, 5xx),
    and a connection that fails, is tried ``attempts_max`` times in all, with growing pauses.
    """

    def __init__(
        self,
        model: str,
        dimension: int,
        *,
        base_url: str = DEFAULT_BASE_URL,
        api_key: str | None = None,
        batch_texts: int = 128,
        timeout_s: float = 30.0,
        attempts_max: int = 4,
        sleep: Callable[[float], object] = pause,
    ) -> None:
        if batch_texts < 1:
            raise ParameterInvalid("batch_texts is at least 1")
        super().__init__(
            model,
            dimension,
            batching(batch_texts),
            url=base_url.rstrip("/") + "/embeddings",
            api_key=api_key if api_key is not None else os.environ.get(KEY_VARIABLE),
            timeout_s=timeout_s,
            attempts_max=attempts_max,
            sleep=sleep,
        )

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32 [len(texts), dimension], as the model gives them. Raises EmbeddingError."""
        return self._made(texts, self._question, _found)

    def embed_query(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """As `embed`: the API knows no difference."""
        return self.embed(texts)

    def _question(self, batch: list[Any]) -> dict[str, Any]:
        question: dict[str, Any] = {"model": self._model, "input": batch, "encoding_format": "float"}
        if self._model.startswith(_SHORTENED) and self._dimension != _DIMENSIONS.get(self._model):
            question["dimensions"] = self._dimension
        return question


def _found(answer: Any) -> Iterator[tuple[int, Any]]:
    for item in answer["data"]:
        yield item["index"], item["embedding"]


def opened(argument: str, dimension: int | None) -> OpenAIEmbedder:
    """The model of that name at OPENAI_BASE_URL. Raises ParameterInvalid where nobody knows its dimension."""
    given, own = os.environ.get(DIMENSION_VARIABLE, ""), _DIMENSIONS.get(argument)
    is_fixed = own is not None and not argument.startswith(_SHORTENED)
    known = own if is_fixed else dimension or (int(given) if given.isdecimal() else own)
    if known is None:
        raise ParameterInvalid(
            f"how many numbers have the vectors of openai:{argument}? Declare the field with that dimension, or set "
            f"{DIMENSION_VARIABLE}"
        )
    return OpenAIEmbedder(argument, known, base_url=os.environ.get(URL_VARIABLE) or DEFAULT_BASE_URL)
