"""Who is signed in: a signed cookie that expires, and a list of those that have not ended.

The cookie holds an id that cannot be guessed, signed with a key that this process made at its start: whoever signed in
before a restart signs in again. Nothing of the access key is in it.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from itsdangerous import BadSignature, TimestampSigner

COOKIE: Final = "lutra_session"
_ID_BYTES: Final = 24


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in. ``access_key_id`` says whose."""

    id: str
    access_key_id: str


class Sessions:
    """All sign-ins. Thread-safe."""

    def __init__(self, session_s: int, sessions_max: int) -> None:
        self._session_s = session_s
        self._sessions_max = sessions_max
        self._signer = TimestampSigner(secrets.token_bytes(32), salt="lutra.console.session")
        self._open: OrderedDict[str, tuple[float, Session]] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, access_key_id: str) -> tuple[Session, str]:
        """A new sign-in, and the cookie that shows it."""
        session = Session(secrets.token_urlsafe(_ID_BYTES), access_key_id)
        with self._lock:
            self._forget_expired()
            while len(self._open) >= self._sessions_max:
                self._open.popitem(last=False)
            self._open[session.id] = (time.monotonic() + self._session_s, session)
        return session, self._signer.sign(session.id).decode()

    def find(self, cookie: str | None) -> Session | None:
        """The sign-in that a cookie shows; None where it was not made here, has expired or was ended."""
        if not cookie:
            return None
        try:
            id_ = self._signer.unsign(cookie, max_age=self._session_s).decode()
        except BadSignature:
            return None
        with self._lock:
            self._forget_expired()
            found = self._open.get(id_)
        return found[1] if found is not None else None

    def end(self, session: Session) -> None:
        """Signs out: the cookie shows nothing any more, wherever it was copied to."""
        with self._lock:
            self._open.pop(session.id, None)

    def _forget_expired(self) -> None:
        now_s = time.monotonic()
        while self._open:
            ends_s, _ = next(iter(self._open.values()))
            if ends_s > now_s:
                return
            self._open.popitem(last=False)
