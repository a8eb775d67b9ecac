"""The words of one TEXT field in a segment, read through the block cache as they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lutra.kernels import text as kernel
from lutra.kernels.blocks import BlockSource
from lutra.model.errors import Corruption
from lutra.model.indexes import FieldSchema
from lutra.text.part import TextPart


class SegmentText(TextPart):
    """What `lutra.text.writer.write_text` wrote to the pages that ``blocks`` reads.

    :param blocks: opened with ``checksums``; the caller closes it.
    :param name: of the section, for errors.
    :raises Corruption: ``meta`` is of a format that is not known here, or not of this section.
    """

    def __init__(self, blocks: BlockSource, name: str, field: FieldSchema, meta: Mapping[str, Any], size: int) -> None:
        if meta["format"] != kernel.TEXT_FORMAT:
            raise Corruption(f"section '{name}' is of format {meta['format']}: this release reads {kernel.TEXT_FORMAT}")
        super().__init__(field, kernel.TextPart.open(blocks.native, name, meta["format"], size, meta["layout"]))

    @property
    def resident_bytes(self) -> int:
        """What is kept in memory, now that it has been used: the first term of each 64, and where they lie."""
        return self.native.state_bytes

    def faults(self) -> list[str]:
        """Reads all of it past the cache: what does not agree with itself; of much that does not, the first things.

        Takes 16 bytes of memory a document. Raises StorageFailure where it cannot be read.
        """
        return self.native.faults()
