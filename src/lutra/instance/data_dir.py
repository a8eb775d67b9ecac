"""Where a data directory can be."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from lutra.model.errors import ParameterInvalid

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
"""Also as `pathlib` leaves it, which makes one '/' of two."""


def data_dir_of(path: str | os.PathLike[str]) -> Path:
    """``path`` as that of a folder of this machine; ``~`` is the home directory.

    Raises ParameterInvalid where it is meant to be something else.
    """
    text = os.fspath(path)
    if text in ("", ":memory:"):
        raise ParameterInvalid(
            f"{text!r} is no data directory: lutra.connect() without a path is a throw-away database in a temporary "
            "folder"
        )
    if _URL.match(text):
        raise ParameterInvalid(
            f"{text!r} is no data directory: that is a folder of this machine. Segments of search indexes can be at "
            "s3://bucket/prefix, and rows as well: lutra.connect('./data', objects='s3://bucket/prefix', "
            "rows='s3://bucket/prefix/rows'), or `lutra serve --data ./data --objects s3://bucket/prefix --rows`"
        )
    return Path(text).expanduser() if text == "~" or text.startswith("~/") else Path(text)
