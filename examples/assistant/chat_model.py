"""Answers written by any server that speaks OpenAI's chat completions: OpenAI, vLLM, Ollama, llama.cpp, DashScope, …

The API: POST {base_url}/chat/completions with ``{"model", "messages": [{"role", "content"}], "stream": true}`` answers
with server-sent events, ``data: {"choices": [{"delta": {"content"}}]}`` each and ``data: [DONE]`` at the end
(https://platform.openai.com/docs/api-reference/chat/streaming). A server that answers with one JSON document is read,
too.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.message import Message
from typing import IO, Any, Final

from lutra.embedding.service import checked_key
from lutra.model.errors import ParameterInvalid

ANSWER_CHARS_MAX: Final = 20_000
_LINE_BYTES_MAX: Final = 1024 * 1024
_LINES_MAX: Final = 100_000
_COMPLAINT_CHARS_MAX: Final = 300
_COMPLAINT_READ_BYTES: Final = 4_096
_RETRIED_STATUSES: Final = frozenset({408, 409, 429, 500, 502, 503, 504})
_PAUSE_S_MAX: Final = 5.0


class ChatModelError(Exception):
    """The model gave no answer, or broke it off; the text says why, without the key."""


@dataclass(frozen=True, slots=True)
class ChatModel:
    """A model behind an endpoint.

    ``api_key`` is sent where there is one. ``timeout_s`` bounds an answer as a whole, ``silence_s`` the wait for each
    piece of it; where nothing has come yet, what says to try again is tried ``attempts_max`` times in all.
    """

    model: str
    base_url: str
    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = 120.0
    silence_s: float = 30.0
    attempts_max: int = 3
    pause_s: float = 0.5

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            raise ChatModelError(f"the address of a model begins with http:// or https://, not {self.base_url!r}")
        try:
            object.__setattr__(self, "api_key", checked_key(self.api_key))
        except ParameterInvalid as error:
            raise ChatModelError(str(error)) from error

    @property
    def url(self) -> str:
        return self.base_url.rstrip("/") + "/chat/completions"

    def answer(self, messages: Sequence[dict[str, str]]) -> Iterator[str]:
        """The answer to the conversation, piece by piece. Raises ChatModelError; what had come by then had come."""
        deadline_s = time.monotonic() + self.timeout_s
        chars = 0
        for attempt in range(1, self.attempts_max + 1):
            try:
                for piece in self._pieces(messages, deadline_s):
                    chars += len(piece)
                    yield piece
                    if chars >= ANSWER_CHARS_MAX:
                        return
                if not chars:
                    raise ChatModelError(f"{self.url} gave an empty answer")
                return
            except urllib.error.HTTPError as error:
                with error:
                    complaint = error.read(_COMPLAINT_READ_BYTES).decode(errors="replace").strip()
                # Cut once the key is out of it: half a key is a secret, too.
                complaint = self._without_key(complaint)[:_COMPLAINT_CHARS_MAX]
                failure = self._failure(f"answered {error.code} {error.reason}: {complaint}")
                is_final = error.code not in _RETRIED_STATUSES
                pause_s = _seconds(error.headers.get("Retry-After"), self.pause_s * 2 ** (attempt - 1))
            except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
                failure = self._failure(f"broke off, or cannot be reached: {error or type(error).__name__}")
                is_final = False
                pause_s = self.pause_s * 2 ** (attempt - 1)
            # What was shown cannot be taken back, so an answer that has begun is not begun again.
            if chars or is_final or attempt == self.attempts_max or time.monotonic() + pause_s >= deadline_s:
                raise failure
            time.sleep(pause_s)

    def _pieces(self, messages: Sequence[dict[str, str]], deadline_s: float) -> Iterator[str]:
        body = json.dumps({"model": self.model, "messages": list(messages), "stream": True}).encode()
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream, application/json"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        request = urllib.request.Request(self.url, data=body, headers=headers, method="POST")
        opener = urllib.request.build_opener(_NoRedirects)
        with opener.open(request, timeout=min(self.silence_s, self.timeout_s)) as response:
            if response.headers.get_content_type() == "text/event-stream":
                yield from self._streamed(response, deadline_s)
            else:
                yield self._whole(response)

    def _streamed(self, response: Any, deadline_s: float) -> Iterator[str]:
        for _ in range(_LINES_MAX):
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"no whole answer within {self.timeout_s:g} s")
            line = response.readline(_LINE_BYTES_MAX + 1)
            if len(line) > _LINE_BYTES_MAX:
                raise self._failure(f"sent a line of more than {_LINE_BYTES_MAX:,} bytes")
            if not line:
                raise ConnectionError("the answer has no end")
            name, _, value = line.decode(errors="replace").strip().partition(":")
            if name != "data":
                continue
            if value.strip() == "[DONE]":
                return
            if piece := self._content(value, "delta"):
                yield piece
        raise self._failure(f"sent more than {_LINES_MAX:,} lines")

    def _whole(self, response: Any) -> str:
        content = response.read(_LINE_BYTES_MAX + 1)
        if len(content) > _LINE_BYTES_MAX:
            raise self._failure(f"sent more than {_LINE_BYTES_MAX:,} bytes")
        return self._content(content.decode(errors="replace"), "message")

    def _content(self, value: str, part: str) -> str:
        """The text in one event, or document; ``part`` is where it has it."""
        try:
            told = json.loads(value)
            if isinstance(told, dict) and told.get("error"):
                raise self._failure(
                    f"told of an error: {self._without_key(json.dumps(told['error']))[:_COMPLAINT_CHARS_MAX]}"
                )
            choices = told["choices"]
            content = choices[0][part].get("content") if choices else None
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise self._failure(f"did not answer as a chat endpoint does: {error!r}") from error
        if content is not None and not isinstance(content, str):
            raise self._failure("did not answer with text")
        return content or ""

    def _failure(self, complaint: str) -> ChatModelError:
        return ChatModelError(self._without_key(f"{self.url} {complaint}"))

    def _without_key(self, text: str) -> str:
        return text.replace(self.api_key, "…") if self.api_key else text


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST would lose its body, and take the key to another host."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


def _seconds(retry_after: str | None, otherwise_s: float) -> float:
    try:
        return min(max(float(retry_after), 0.0), _PAUSE_S_MAX) if retry_after is not None else otherwise_s
    except ValueError:  # a date
        return otherwise_s
