"""Names of attribute columns. Those of tables and key columns are narrower: `limits.NAME_PATTERN`."""

from __future__ import annotations

from functools import lru_cache

from lutra.model import limits
from lutra.model.errors import ParameterInvalid


@lru_cache(maxsize=16_384)
def is_column_name(name: str) -> bool:
    """Whether an attribute column can have that name: 1 to 255 bytes of UTF-8 that do not begin with ``#``."""
    try:
        size_bytes = len(name.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size_bytes <= limits.COLUMN_NAME_BYTES_MAX and name[0] != "#"


def shown(name: str) -> str:
    """The name for a line of text: what cannot be printed is escaped."""
    return name if name.isprintable() else repr(name)[1:-1]


def check_column_name(name: str) -> None:
    """Raises ParameterInvalid where no attribute column can have that name."""
    if not is_column_name(name):
        raise ParameterInvalid(f"Invalid column name: '{name}'.")
