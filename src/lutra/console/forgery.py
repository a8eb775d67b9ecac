"""Tokens against forged forms (OWASP, Cross-Site Request Forgery Prevention: signed double submit).

Each form carries a token that is bound to who it was shown to: to a sign-in, or before it to a visit, an id in a
cookie. Another site can send a form here with the browser's cookies, but cannot know the token.
"""

from __future__ import annotations

import secrets
from typing import Final

from itsdangerous import BadSignature, Signer

FIELD: Final = "csrf_token"
HEADER: Final = "x-csrf-token"
VISIT_COOKIE: Final = "lutra_visit"
_ID_BYTES: Final = 24


class Forgery:
    """Makes and checks tokens. Thread-safe."""

    def __init__(self) -> None:
        self._signer = Signer(secrets.token_bytes(32), salt="lutra.console.forgery")

    def new_visit(self) -> str:
        """An id for somebody who has not signed in."""
        return secrets.token_urlsafe(_ID_BYTES)

    def token(self, bound_to: str) -> str:
        """The token of a sign-in or visit."""
        return self._signer.get_signature(bound_to).decode()

    def is_genuine(self, token: str | None, bound_to: str | None) -> bool:
        """Whether a token was made here, for the one that sends it. Compares in constant time."""
        if not token or not bound_to:
            return False
        try:
            return self._signer.verify_signature(bound_to, token)
        except (BadSignature, UnicodeError):
            return False
