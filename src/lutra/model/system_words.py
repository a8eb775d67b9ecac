"""The system's words for what failed: of an error's text the part that may be told to anybody."""

from __future__ import annotations

import errno
import os
from typing import Final

FULL: Final = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))
"""The disk is: it stays so until somebody sees to it."""
_WORDS: Final = FULL + tuple(
    os.strerror(number)
    for number in (
        errno.EIO,
        errno.EROFS,
        errno.EMFILE,
        errno.ENFILE,
        errno.EACCES,
        errno.EPERM,
        errno.ENOMEM,
        errno.ENOENT,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.ETIMEDOUT,
    )
)


def system_word(text: str) -> str | None:
    """The first of them that is in the text of an error, which may also have paths and addresses; None: none is."""
    return next((word for word in _WORDS if word in text), None)
