"""Style sheets, scripts and pictures of pages. Their addresses have a hash of what they hold, so they may be kept."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from starlette.responses import Response

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
}
_NAME: Final = re.compile(r"(?:[a-z0-9_-]+/)*[a-zA-Z0-9_.-]+")
_HASH_CHARS: Final = 12
_KEPT_S: Final = 365 * 24 * 3_600


class Assets:
    """The files in a package's folder, by name; ``imports`` between scripts are by plain name, so they are served
    under one hash of all of them together."""

    def __init__(self, package: str, folder: str = "static") -> None:
        self._root = files(package).joinpath(folder)
        self.version = _version(package, folder)

    def response(self, version: str, name: str) -> Response | None:
        """The file of that name; None where there is none. Only the present version may be kept for long."""
        suffix = name[name.rfind(".") :]
        if _NAME.fullmatch(name) is None or ".." in name or suffix not in _TYPES:
            return None
        try:
            content = self._root.joinpath(*name.split("/")).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        kept = f"public, max-age={_KEPT_S}, immutable" if version == self.version else "no-cache"
        return Response(content, headers={"content-type": _TYPES[suffix], "cache-control": kept})


@cache
def _version(package: str, folder: str) -> str:
    digest = hashlib.sha256()
    for name, content in sorted(_contents(files(package).joinpath(folder), "")):
        digest.update(name.encode() + b"\0" + content)
    return digest.hexdigest()[:_HASH_CHARS]


def _contents(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        name = prefix + entry.name
        found += _contents(entry, name + "/") if entry.is_dir() else [(name, entry.read_bytes())]
    return found
