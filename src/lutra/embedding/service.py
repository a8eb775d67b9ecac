"""Asking a service on the web for vectors: one JSON document for another, and what goes wrong on the way."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from email.message import Message
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from lutra.embedding.embedder import Batching, EmbeddingBusy, EmbeddingError, ModelUnusable
from lutra.embedding.waiting import pause
from lutra.model import limits
from lutra.model.deadline import current_deadline
from lutra.model.errors import ParameterInvalid

_RETRIED_STATUSES: Final = frozenset({408, 409, 429, 500, 502, 503, 504})
_OF_THE_TEXTS: Final = frozenset({400, 413, 422})
"""Where it is what was sent that is refused; other refusals go for whatever is sent."""
_FIRST_PAUSE_S: Final = 0.5
PAUSE_S_MAX: Final = 30.0
_BYTES_PER_NUMBER_MAX: Final = 32
_CHUNK_BYTES: Final = 64 * 1024
_COMPLAINT_CHARS_MAX: Final = 500
_COMPLAINT_READ_BYTES: Final = 4_096
_CALLS_AT_ONCE: Final = 4
_BATCH_CHARS: Final = 200_000


Found = Callable[[Any], Iterable[tuple[int, Any]]]


def batching(items: int) -> Batching:
    """Of a service that takes so many texts in a request."""
    return Batching(items, _BATCH_CHARS, _CALLS_AT_ONCE)


class Service:
    """An address that answers POSTs of JSON with vectors. Thread-safe.

    ``timeout_s`` bounds each attempt; an answer that says to try again (429, 5xx), and a connection that fails, is
    tried ``attempts_max`` times in all, with growing pauses. The key is sent as a bearer's, and never told of.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None,
        *,
        timeout_s: float,
        attempts_max: int,
        sleep: Callable[[float], object] = pause,
    ) -> None:
        """Raises ParameterInvalid."""
        if not url.startswith(("http://", "https://")):
            raise ParameterInvalid(f"base_url begins with http:// or https://, not {url!r}")
        if attempts_max < 1 or timeout_s <= 0:
            raise ParameterInvalid("attempts_max is at least 1, timeout_s more than 0")
        self.url = url
        self._api_key = checked_key(api_key)
        self._timeout_s = timeout_s
        self._attempts_max = attempts_max
        self._sleep = sleep
        self._opener = urllib.request.build_opener(_NoRedirects)

    def ask(self, question: Mapping[str, Any], vectors: int, dimension: int) -> Any:
        """The answer, as JSON has it: at most as long as ``vectors`` of ``dimension`` numbers can be.

        Raises EmbeddingBusy where another try may help, EmbeddingError where not.
        """
        body = json.dumps(question).encode()
        bytes_max = vectors * dimension * _BYTES_PER_NUMBER_MAX + _CHUNK_BYTES
        pause_s = _FIRST_PAUSE_S
        for attempt in range(1, self._attempts_max + 1):
            try:
                return self._parsed(self._post(body, bytes_max, vectors))
            except EmbeddingBusy as error:
                if attempt == self._attempts_max:
                    raise
                asked_s = error.pause_s
            self._sleep(min(asked_s if asked_s is not None else pause_s, PAUSE_S_MAX))
            pause_s *= 2
        raise AssertionError("unreachable: the last attempt returns or raises")

    def strange(self, error: Exception) -> EmbeddingError:
        """What to raise where an answer is not as the protocol has it."""
        return EmbeddingError(f"{self.url} did not answer as an embeddings endpoint does: {error!r}")

    def vectors(self, answer: Any, found: Found, model: str, count: int, dimension: int) -> npt.NDArray[np.float32]:
        """float32 [count, dimension], of ``answer``, in which ``found`` finds pairs of a number from 0 and a vector.

        Raises ModelUnusable where vectors have another dimension, EmbeddingError where not each number has one.
        """
        vectors = np.full((count, dimension), np.nan, dtype=np.float32)
        try:
            for number, vector in found(answer):
                if len(vector) != dimension:
                    raise ModelUnusable(
                        f"{self.url} gives vectors of {len(vector)} numbers for model {model!r}, not {dimension}"
                    )
                vectors[number] = vector
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise self.strange(error) from error
        if not np.isfinite(vectors).all():
            raise EmbeddingError(f"{self.url} did not give a vector of finite numbers for each of {count} texts")
        return vectors

    def _parsed(self, answer: bytes) -> Any:
        try:
            return json.loads(answer)
        except (ValueError, RecursionError) as error:
            raise self.strange(error) from error

    def _post(self, body: bytes, bytes_max: int, vectors: int) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        request = urllib.request.Request(self.url, data=body, headers=headers, method="POST")
        try:
            return self._read(request, bytes_max, vectors)
        except urllib.error.HTTPError as error:
            with error:
                complaint = error.read(_COMPLAINT_READ_BYTES).decode(errors="replace").strip()
            # Cut once the key is out of it: half a key is a secret, too.
            complaint = self._without_key(complaint)[:_COMPLAINT_CHARS_MAX]
            told = self._without_key(f"{self.url} answered {error.code} {error.reason}: {complaint}")
            if error.code in _OF_THE_TEXTS:
                raise EmbeddingError(told) from None
            if error.code not in _RETRIED_STATUSES:
                raise ModelUnusable(told) from None
            raise EmbeddingBusy(told, _seconds(error.headers.get("Retry-After"))) from None
        except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
            told = self._without_key(f"cannot reach {self.url}: {error or type(error).__name__}")
            raise EmbeddingBusy(told) from None

    def _read(self, request: urllib.request.Request, bytes_max: int, vectors: int) -> bytes:
        end_s = time.monotonic() + self._timeout_s
        with self._opener.open(request, timeout=self._timeout_s) as response:
            answer = bytearray()
            while chunk := response.read1(_CHUNK_BYTES):
                answer += chunk
                current_deadline().check()
                if len(answer) > bytes_max:
                    raise EmbeddingError(f"{self.url} answered more than {bytes_max:,} bytes for {vectors} texts")
                if time.monotonic() > end_s:
                    raise TimeoutError(f"no whole answer within {self._timeout_s:g} s")
            length = response.headers.get("Content-Length", "")
            if length.isdecimal() and len(answer) < int(length):
                raise ConnectionError(f"the answer ends after {len(answer):,} of {int(length):,} bytes")
            return bytes(answer)

    def _without_key(self, text: str) -> str:
        return text.replace(self._api_key, "***") if self._api_key else text


def checked_key(api_key: str | None) -> str | None:
    """A key as a header takes it: without the end of line that a file may have put there.

    Raises ParameterInvalid, which does not say the key: what a library raises for a header does.
    """
    key = (api_key or "").strip()
    if not all("!" <= one <= "~" for one in key):
        raise ParameterInvalid("an API key has printable characters of ASCII alone, without spaces")
    return key or None


def check_dimension(dimension: int) -> int:
    """Raises ParameterInvalid where no vector can have so many numbers."""
    if type(dimension) is not int or not 1 <= dimension <= limits.VECTOR_DIMENSION_MAX:
        raise ParameterInvalid(f"dimension is 1 to {limits.VECTOR_DIMENSION_MAX}, not {dimension}")
    return dimension


class ServiceEmbedder:
    """A model of a service, asked for some inputs at a time. Thread-safe."""

    def __init__(
        self,
        model: str,
        dimension: int,
        batching_: Batching,
        *,
        url: str,
        api_key: str | None,
        timeout_s: float,
        attempts_max: int,
        sleep: Callable[[float], object],
    ) -> None:
        """Raises ParameterInvalid."""
        self._model = model
        self._dimension = check_dimension(dimension)
        self.batching = batching_
        self._service = Service(url, api_key, timeout_s=timeout_s, attempts_max=attempts_max, sleep=sleep)

    @property
    def name(self) -> str:
        return self._model

    @property
    def dimension(self) -> int:
        return self._dimension

    def _made(
        self, inputs: Sequence[Any], question: Callable[[list[Any]], Mapping[str, Any]], found: Found
    ) -> npt.NDArray[np.float32]:
        """float32 [len(inputs), dimension]: of what ``question`` makes of each batch. Raises EmbeddingError."""
        vectors = np.empty((len(inputs), self._dimension), dtype=np.float32)
        for first in range(0, len(inputs), self.batching.items):
            batch = list(inputs[first : first + self.batching.items])
            answer = self._service.ask(question(batch), len(batch), self._dimension)
            vectors[first : first + len(batch)] = self._service.vectors(
                answer, found, self._model, len(batch), self._dimension
            )
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
