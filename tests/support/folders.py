"""Where tests of what is above stores put their files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

_IN_MEMORY: Final = Path("/dev/shm")
_FREE_BYTES_MIN: Final = 2 << 30


def folder_in_memory() -> Path | None:
    """A file system in memory, where an fsync costs nothing; None where there is none with room: then the usual one.

    For tests that flush and merge a hundred times over. What a disk does is tested where stores are.
    """
    if not os.access(_IN_MEMORY, os.W_OK) or shutil.disk_usage(_IN_MEMORY).free < _FREE_BYTES_MIN:
        return None
    return _IN_MEMORY
