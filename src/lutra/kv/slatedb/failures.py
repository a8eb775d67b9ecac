"""What SlateDB raises, as what the seam says a store raises."""

from __future__ import annotations

from lutra.kv.slatedb.library import library
from lutra.model.errors import Corruption, Fenced, LutraError, StorageFailure


def failure(place: object, action: str, error: Exception) -> LutraError:
    """What to raise where ``action`` failed on the store at ``place`` with ``error``."""
    if isinstance(error, LutraError):
        return type(error)(f"cannot {action}: the store at {place}: {error}")
    bindings = library()
    kinds = bindings.Error
    text = f"cannot {action}: the store at {place} says: {getattr(error, 'message', error)}"
    if isinstance(error, kinds.Closed):
        if error.reason is bindings.CloseReason.FENCED:
            return Fenced(f"cannot {action}: another has opened the store at {place} since, and is its only writer now")
        if error.reason is bindings.CloseReason.CLEAN:
            return StorageFailure(f"cannot {action}: the store at {place} is closed")
    if isinstance(error, kinds.Data):
        return Corruption(text)
    return StorageFailure(text)
