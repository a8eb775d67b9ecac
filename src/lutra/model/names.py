"""Names of attribute columns. Those of tables and key columns are narrower: `limits.NAME_PATTERN`."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from lutra.model import limits
from lutra.model.errors import ParameterInvalid

_TOLD_MAX: Final = 1_024


def is_column_name(name: str) -> bool:
    """Whether an attribute column can have that name: 1 to 255 bytes of UTF-8 that do not begin with ``#``."""
    # What is longer is not remembered: a request could bring megabytes of it.
    return len(name) <= limits.COLUMN_NAME_BYTES_MAX and _is_short_column_name(name)


@lru_cache(maxsize=16_384)
def _is_short_column_name(name: str) -> bool:
    try:
        size_bytes = len(name.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size_bytes <= limits.COLUMN_NAME_BYTES_MAX and name[0] != "#"


def shown(name: str) -> str:
    """The name for a line of text: what cannot be printed is escaped."""
    return name if name.isprintable() else repr(name)[1:-1]


def invalid_name(name: str) -> ParameterInvalid:
    """What tells of a name that no column can have: of one of megabytes, its begin."""
    return ParameterInvalid(f"Invalid column name: '{name[:_TOLD_MAX]}'.")


def check_column_name(name: str) -> None:
    """Raises ParameterInvalid where no attribute column can have that name."""
    if not is_column_name(name):
        raise invalid_name(name)
