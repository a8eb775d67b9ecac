"""The words of one TEXT field of the newest rows, in memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lutra.kernels.text import TextBuffer
from lutra.model.indexes import FieldSchema, TextOptions
from lutra.model.limits import TEXT_WORDS_MAX
from lutra.model.values import Value
from lutra.text.analyzers import analyzer_of
from lutra.text.part import TextPart
from lutra.text.values import texts_in


class TextColumn:
    """Growable words of one TEXT field; one writer.

    Values are staged one by one, which is the costly part, and published at once; only what is published is in a view.
    """

    def __init__(self, field: FieldSchema) -> None:
        self.field = field
        self._analyzer = analyzer_of(field.text or TextOptions())
        self._buffer = TextBuffer()
        self._left_out = 0

    def stage(self, doc: int, value: Value) -> bool:
        """Takes the value of ``doc``, later than all before it. False where it does not fit the field.

        That is where it is no text, or one of more than `TEXT_WORDS_MAX` words.
        """
        found = texts_in(self.field, value)
        if found is None:
            return False
        texts, left_out = found
        self._left_out += left_out
        if not texts:
            return True
        analyzer = self._analyzer
        try:
            tokens = analyzer.tokens_of_all(texts) if self.field.is_array else analyzer.tokens(texts[0])
            return len(tokens) <= TEXT_WORDS_MAX and self._buffer.stage(doc, tokens.terms, tokens.positions)
        except UnicodeEncodeError:  # half of a surrogate pair is no text
            return False

    def settle(self) -> int:
        """Nothing is left to do. Returns how many elements were left out of values that are there else."""
        left_out, self._left_out = self._left_out, 0
        return left_out

    def publish(self) -> None:
        """Makes what is staged part of the next view."""
        self._buffer.publish()

    def view(self, size: int) -> TextPart:
        """The words of the first ``size`` documents; all that is published must lie below."""
        return TextPart(self.field, self._buffer.part(size))

    @property
    def size_bytes(self) -> int:
        """Memory that the words take."""
        return self._buffer.held_bytes

    def compacted(self, renumber: npt.NDArray[np.int32]) -> TextColumn:
        """A new column without the documents whose new number in ``renumber`` is negative; others keep their order."""
        result = TextColumn(self.field)
        result._buffer = self._buffer.compacted(renumber)
        return result
