"""Writing the words of one TEXT field as a section of a segment, out of buffers and segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lutra.kernels import text as kernel
from lutra.text.part import TextPart


def write_text(
    write: Callable[[bytes], object],
    size: int,
    parts: Sequence[TextPart],
    renumber: Sequence[npt.NDArray[np.int32]],
) -> dict[str, Any]:
    """Hands the section to ``write``, some 256 KB at a time. The same words give the same bytes, whatever the parts.

    Returns what `lutra.text.segment_text.SegmentText` wants to know, for JSON. Memory: 4 bytes a document, the distinct
    terms, and the encoded postings of one of them. What ``write`` raises ends it.

    :param size: documents of the segment.
    :param renumber: of each part, int32[its size]: the new number of each document, negative where it is left out.
    :raises Corruption: a part is damaged. :raises StorageFailure: one cannot be read.
    :raises ValueError: a new number is not below ``size``, or is given twice.
    """
    writer = kernel.TextWriter([part.native for part in parts], renumber, size)
    while piece := writer.next():
        write(piece)
    return {"format": kernel.TEXT_FORMAT, "layout": writer.layout}
