"""The words of TEXT fields (``native/text/*``): postings in memory and in segments, and all questions to them.

The native classes themselves, as each is one call that holds no interpreter lock:

``TextBuffer``
    Growable postings; one writer. ``stage(doc, terms, positions)`` takes the words of a document, later than all before
    it (False where they are more than ``TEXT_TOKENS_MAX``, or a position is 2^31 or more); ``publish()`` makes what is
    staged part of later views; ``part(size)`` is a view; ``compacted(renumber)`` a copy without the documents whose new
    number (int32 [size]) is negative.
``TextPart``
    The words of documents 0 to ``size`` - 1, unchanging; thread-safe. Of a segment: ``TextPart.open``.
``TextWriter``
    ``next()`` gives the stream of a segment's section piece by piece, some 256 KB each, nothing at its end; then
    ``layout`` says what ``TextPart.open`` wants to know.
``text_best``
    The k best documents of each of several parts, those left out that are not among the k best of the parts before.

What is read from storage raises StorageFailure, ServerBusy, and Corruption, naming section and block. A mask, an array
or a number that is not the part's raises ValueError. Terms longer than ``TEXT_TERM_BYTES_MAX`` bytes of UTF-8 count by
their first ones, here and there alike.
"""

from lutra.kernels._native import (
    TEXT_FORMAT,
    TEXT_TERM_BYTES_MAX,
    TEXT_TOKENS_MAX,
    TextBuffer,
    TextPart,
    TextWriter,
    text_best,
)

__all__ = [
    "TEXT_FORMAT",
    "TEXT_TERM_BYTES_MAX",
    "TEXT_TOKENS_MAX",
    "TextBuffer",
    "TextPart",
    "TextWriter",
    "text_best",
]
