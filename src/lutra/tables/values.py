"""How long a value of an attribute column may be."""

from __future__ import annotations

from typing import Final

from lutra.model import limits
from lutra.model.errors import ParameterInvalid

SURELY_SHORT: Final = limits.COLUMN_VALUE_BYTES_MAX // 4
"""A str of this many characters is within the limit in any encoding."""


def check_length(name: str, value: str | bytes) -> None:
    """Raises ParameterInvalid where the value is too long for a column, be it written or compared with."""
    if len(value) <= SURELY_SHORT:
        return
    size_bytes = len(value.encode(errors="surrogatepass")) if isinstance(value, str) else len(value)
    if size_bytes > limits.COLUMN_VALUE_BYTES_MAX:
        raise ParameterInvalid(
            f"The length of attribute column: '{name}' exceeds the MaxLength:{limits.COLUMN_VALUE_BYTES_MAX}"
            f" with CurrentLength:{size_bytes}."
        )
