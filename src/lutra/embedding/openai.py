"""Vectors from any server that speaks OpenAI's embeddings API: OpenAI, vLLM, Ollama, text-embeddings-inference, …

The API: POST {base_url}/embeddings with ``{"model", "input": [texts], "encoding_format": "float"}`` answers ``{"data":
[{"index", "embedding"}]}`` (https://platform.openai.com/docs/api-reference/embeddings).
"""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from email.message import Message
from typing import IO, Final

import numpy as np
import numpy.typing as npt

from lutra.embedding.embedder import EmbeddingError
from lutra.model import limits
from lutra.model.errors import ParameterInvalid

DEFAULT_BASE_URL: Final = "https://api.openai.com/v1"
KEY_VARIABLE: Final = "OPENAI_API_KEY"

_RETRIED_STATUSES: Final = frozenset({408, 409, 429, 500, 502, 503, 504})
_FIRST_PAUSE_S: Final = 0.5
_PAUSE_S_MAX: Final = 30.0
_BYTES_PER_NUMBER_MAX: Final = 32
_CHUNK_BYTES: Final = 64 * 1024
_COMPLAINT_CHARS_MAX: Final = 500


class OpenAIEmbedder:
    """Asks an embeddings endpoint, a batch of texts at a time. Implements ``Embedder``; thread-safe.

    ``dimension`` is the length of the model's vectors, checked on every answer. ``api_key`` None takes the
    environment variable OPENAI_API_KEY; without one, none is sent, as local servers need none. ``timeout_s`` bounds
    each attempt; an answer that says to try again (429, 5xx), and a connection that fails, is tried ``attempts_max``
    times in all, with growing pauses.
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
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if not 1 <= dimension <= limits.VECTOR_DIMENSION_MAX:
            raise ParameterInvalid(f"dimension is 1 to {limits.VECTOR_DIMENSION_MAX}, not {dimension}")
        if not base_url.startswith(("http://", "https://")):
            raise ParameterInvalid(f"base_url begins with http:// or https://, not {base_url!r}")
        if batch_texts < 1 or attempts_max < 1 or timeout_s <= 0:
            raise ParameterInvalid("batch_texts and attempts_max are at least 1, timeout_s more than 0")
        self._model = model
        self._dimension = dimension
        self._url = base_url.rstrip("/") + "/embeddings"
        self._api_key = api_key if api_key is not None else os.environ.get(KEY_VARIABLE)
        self._batch_texts = batch_texts
        self._timeout_s = timeout_s
        self._attempts_max = attempts_max
        self._sleep = sleep
        self._opener = urllib.request.build_opener(_NoRedirects)

    @property
    def name(self) -> str:
        return self._model

    @property
    def dimension(self) -> int:
        return self._dimension

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32 [len(texts), dimension], as the model gives them. Raises EmbeddingError."""
        vectors = np.empty((len(texts), self._dimension), dtype=np.float32)
        for first in range(0, len(texts), self._batch_texts):
            batch = texts[first : first + self._batch_texts]
            vectors[first : first + len(batch)] = self._vectors(self._answer(batch), len(batch))
        return vectors

    def _answer(self, batch: Sequence[str]) -> bytes:
        body = json.dumps({"model": self._model, "input": list(batch), "encoding_format": "float"}).encode()
        pause_s = _FIRST_PAUSE_S
        for attempt in range(1, self._attempts_max + 1):
            asked_pause_s: float | None = None
            try:
                return self._post(body, len(batch))
            except urllib.error.HTTPError as error:
                with error:
                    complaint = error.read(_COMPLAINT_CHARS_MAX).decode(errors="replace").strip()
                asked_pause_s = _seconds(error.headers.get("Retry-After"))
                failure = EmbeddingError(f"{self._url} answered {error.code} {error.reason}: {complaint}")
                if error.code not in _RETRIED_STATUSES:
                    raise failure from None
            except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
                failure = EmbeddingError(f"cannot reach {self._url}: {error or type(error).__name__}")
            if attempt == self._attempts_max:
                raise failure
            self._sleep(min(asked_pause_s if asked_pause_s is not None else pause_s, _PAUSE_S_MAX))
            pause_s *= 2
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _post(self, body: bytes, count: int) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        request = urllib.request.Request(self._url, data=body, headers=headers, method="POST")
        deadline = time.monotonic() + self._timeout_s
        bytes_max = count * self._dimension * _BYTES_PER_NUMBER_MAX + _CHUNK_BYTES
        with self._opener.open(request, timeout=self._timeout_s) as response:
            answer = bytearray()
            while chunk := response.read1(_CHUNK_BYTES):
                answer += chunk
                if len(answer) > bytes_max:
                    raise EmbeddingError(f"{self._url} answered more than {bytes_max:,} bytes for {count} texts")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no whole answer within {self._timeout_s:g} s")
            return bytes(answer)

    def _vectors(self, answer: bytes, count: int) -> npt.NDArray[np.float32]:
        vectors = np.full((count, self._dimension), np.nan, dtype=np.float32)
        try:
            items = json.loads(answer)["data"]
            for item in items:
                embedding = item["embedding"]
                if len(embedding) != self._dimension:
                    raise EmbeddingError(
                        f"{self._url} gives vectors of {len(embedding)} numbers for model {self._model!r}, "
                        f"not {self._dimension}"
                    )
                vectors[item["index"]] = embedding
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise EmbeddingError(f"{self._url} did not answer as an embeddings endpoint does: {error!r}") from error
        if not np.isfinite(vectors).all():
            raise EmbeddingError(f"{self._url} did not give a vector of finite numbers for each of {count} texts")
        return vectors


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST would lose its body, and take the key to another host."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


def _seconds(retry_after: str | None) -> float | None:
    try:
        return max(float(retry_after), 0.0) if retry_after is not None else None
    except ValueError:  # a date, which the growing pause serves as well
        return None
