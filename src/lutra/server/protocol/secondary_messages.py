"""Secondary indexes on the wire."""

from __future__ import annotations

from lutra.model.errors import ParameterInvalid
from lutra.model.schema import IndexKind, SecondaryIndex
from lutra.server.wire import secondary_pb2 as wire

_MODES = {IndexKind.GLOBAL: wire.IUM_ASYNC_INDEX, IndexKind.LOCAL: wire.IUM_SYNC_INDEX}
_TYPES = {IndexKind.GLOBAL: wire.IT_GLOBAL_INDEX, IndexKind.LOCAL: wire.IT_LOCAL_INDEX}
_KINDS = {number: kind for kind, number in _TYPES.items()}


def parse_index(meta: wire.IndexMeta, includes_base: bool = True) -> SecondaryIndex:
    """The index that a CreateTable or CreateIndex asks for. Raises ParameterInvalid for a kind there is not."""
    kind = _KINDS.get(meta.index_type)
    if kind is None:
        raise ParameterInvalid(f"Invalid index type: {meta.index_type}.")
    if meta.index_update_mode != _MODES[kind]:
        raise ParameterInvalid(
            "A global index is updated asynchronously (IUM_ASYNC_INDEX), a local index synchronously (IUM_SYNC_INDEX)."
        )
    return SecondaryIndex(meta.name, tuple(meta.primary_key), tuple(meta.defined_column), kind, includes_base)


def index_message(index: SecondaryIndex, is_filled: bool) -> wire.IndexMeta:
    """As it was asked for, and whether it has all of its table."""
    return wire.IndexMeta(
        name=index.name,
        primary_key=index.key,
        defined_column=index.columns,
        index_update_mode=_MODES[index.kind],
        index_type=_TYPES[index.kind],
        index_sync_phase=wire.ISP_INCR if is_filled else wire.ISP_FULL,
    )
