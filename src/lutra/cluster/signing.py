"""How nodes know each other: by a secret that all nodes of a cluster read from its store.

HMAC-SHA-256 over method, time and the body's digest, which all stand in the head: so whoever does not have the secret
is refused before any of the body is read. A call is taken for as long as a client's request is (15 minutes): clocks
decide here who is asked again, and never who owns what. It says who speaks, and hides nothing: what nodes tell each
other belongs on a network of their own.
"""

from __future__ import annotations

import hmac
import time
from hashlib import sha256
from typing import Final

SIGNATURE_HEADER: Final = "x-lutra-signature"
TIME_HEADER: Final = "x-lutra-time"
DIGEST_HEADER: Final = "x-lutra-digest"
SKEW_S_MAX: Final = 15 * 60


def digest_of(body: bytes) -> str:
    """SHA-256, hex."""
    return sha256(body).hexdigest()


def signature_of(secret: bytes, method: str, time_text: str, digest: str) -> str:
    """Of a call that was made at ``time_text``, seconds since 1970, with a body of that digest."""
    return hmac.new(secret, "\n".join((method, time_text, digest)).encode("utf-8", "replace"), sha256).hexdigest()


def is_signed(secret: bytes, method: str, time_text: str, digest: str, signature: str) -> bool:
    """Whether who has the secret made that call, within the time that calls are taken."""
    expected = signature_of(secret, method, time_text, digest)
    return is_same(expected, signature) and is_timely(time_text)


def is_same(expected: str, said: str) -> bool:
    """Takes as long wherever they differ."""
    return hmac.compare_digest(expected.encode(), said.encode("utf-8", "replace"))


def is_timely(time_text: str, now_s: float | None = None) -> bool:
    """Whether a call that says so is neither old nor of the future, by this machine's clock or at ``now_s``."""
    now_s = time.time() if now_s is None else now_s
    return time_text.isdecimal() and len(time_text) <= 12 and abs(now_s - int(time_text)) <= SKEW_S_MAX
