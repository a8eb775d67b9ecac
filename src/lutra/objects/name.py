"""What objects may be called: parts of ``[A-Za-z0-9._-]`` with '/' between them, the same on every store."""

from __future__ import annotations

import re
from typing import Final

from lutra.model.errors import ParameterInvalid

NAME_BYTES_MAX: Final = 512
"""S3 takes 1,024 with the store's own prefix; a file system takes 255 a part."""

PART_BYTES_MAX: Final = 200

# A part that starts with a dot would be '.', '..', or hidden among a folder's own files.
_PART: Final = re.compile(rf"[A-Za-z0-9_-][A-Za-z0-9._-]{{0,{PART_BYTES_MAX - 1}}}")


def is_part(text: str) -> bool:
    """Whether ``text`` may stand between two '/' of a name."""
    return _PART.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether an object may be called so."""
    return len(text) <= NAME_BYTES_MAX and all(map(is_part, text.split("/")))


def require_name(name: str) -> str:
    """``name``, where it is one. Raises ParameterInvalid where not, before anything is touched."""
    if not is_name(name):
        raise ParameterInvalid(f"Not the name of an object: {name[:NAME_BYTES_MAX]!r}")
    return name


def require_prefix(prefix: str) -> str:
    """The folder of objects named by ``prefix``, without a '/' at its end; empty for all. Raises ParameterInvalid."""
    return require_name(prefix.removesuffix("/")) if prefix else ""
