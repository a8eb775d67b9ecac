"""A folder of the user for what is costly to make and can be made again: models in the form in which they run."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

_DIGEST_BYTES: Final = hashlib.sha256().digest_size


def model_cache_folder() -> Path:
    """``$XDG_CACHE_HOME/lutra/models``, or ``~/.cache/lutra/models`` (XDG Base Directory Specification)."""
    asked = os.environ.get("XDG_CACHE_HOME", "")
    # The specification: a path that is not absolute is to be ignored.
    base = Path(asked) if os.path.isabs(asked) else Path(os.path.expanduser("~")) / ".cache"
    return base / "lutra" / "models"


def cached(name: str, make: Callable[[], bytes], folder: Path | None = None) -> bytes:
    """The content of the cached file ``name``; made by ``make``, and kept, where it is missing or damaged.

    ``name`` has to say all that the content depends on, its version too. The file is the content and its SHA-256;
    it comes into its place whole, so that processes that start at once do no harm to each other. A folder that
    cannot be written (a read-only home, a full disk) costs time, not the answer.
    """
    path = (folder or model_cache_folder()) / name
    with contextlib.suppress(OSError):
        stored = path.read_bytes()
        content, digest = stored[:-_DIGEST_BYTES], stored[-_DIGEST_BYTES:]
        if hashlib.sha256(content).digest() == digest:
            return content
    content = make()
    with contextlib.suppress(OSError):
        _keep(path, content)
    return content


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, unfinished = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.write(hashlib.sha256(content).digest())
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)
        raise
