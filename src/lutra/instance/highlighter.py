"""Shows of each row that was found, and of documents within it, the words that were looked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from lutra.instance.row_texts import RowTexts
from lutra.model.deadline import current_deadline
from lutra.model.indexes import IndexSchema, TextOptions
from lutra.model.nested import InnerHit, InnerHitsByPath, Nested
from lutra.model.queries import Fragments, Highlight, Query, SearchRequest
from lutra.model.query_parts import reasons_within
from lutra.model.rows import PrimaryKey, Row
from lutra.text.analyzers import analyzer_of
from lutra.text.highlight import highlighted
from lutra.text.wanted import wanted_of


class Highlighter:
    """Of one search that was checked. Texts are taken from the table's rows: the index keeps none."""

    def __init__(self, schema: IndexSchema, query: Query, highlight: Highlight) -> None:
        self._encoder = highlight.encoder
        self._fields = []
        for style in highlight.fields:
            field = schema.field(style.field)
            assert field is not None
            analyzer = analyzer_of(field.text or TextOptions())
            wanted = wanted_of(query, field.name, analyzer)
            if wanted:
                self._fields.append((style, field, analyzer, wanted))

    def fragments(self, texts: RowTexts, offsets: Sequence[int] = ()) -> Fragments:
        """Of a row, or of the document in it at ``offsets``, by field; a field without any is absent.

        Raises RequestTimeout.
        """
        found: Fragments = {}
        for style, field, analyzer, wanted in self._fields:
            current_deadline().check()
            own = texts.of(field, offsets)
            shown = highlighted(own, analyzer, wanted, style, self._encoder) if own else []
            if shown:
                found[field.name] = shown
        return found


class InnerHighlighter:
    """Shows the words of documents within rows, which nested queries of one search look for and ask to be shown."""

    def __init__(self, schema: IndexSchema, query: Query) -> None:
        self._by_path: dict[str, tuple[Highlighter | None, InnerHighlighter]] = {}
        waiting = [query]
        while waiting:
            one = waiting.pop()
            if not isinstance(one, Nested):
                waiting += reasons_within(one)
            elif one.inner_hits is not None:
                asked = one.inner_hits.highlight
                own = None if asked is None else Highlighter(schema, one.query, asked)
                self._by_path[one.path] = own, InnerHighlighter(schema, one.query)

    @property
    def is_asked(self) -> bool:
        """Whether anything is to be shown."""
        return any(own is not None or below.is_asked for own, below in self._by_path.values())

    def shown(self, texts: RowTexts, hits: InnerHitsByPath, above: tuple[int, ...] = ()) -> InnerHitsByPath:
        """``hits`` of a row, or of the document in it at ``above``, with their fragments."""
        return {path: [self._shown(path, texts, hit, above) for hit in own] for path, own in hits.items()}

    def _shown(self, path: str, texts: RowTexts, hit: InnerHit, above: tuple[int, ...]) -> InnerHit:
        highlighter, below = self._by_path[path]
        offsets = (*above, *hit.offsets)
        fragments = {} if highlighter is None else highlighter.fragments(texts, offsets)
        return replace(hit, inner=below.shown(texts, hit.inner, offsets), highlights=fragments)


class Shown:
    """What of the rows of one search is shown beside them. Texts are taken from whole rows of the table."""

    def __init__(self, schema: IndexSchema, request: SearchRequest) -> None:
        self._schema = schema
        self._own = None if request.highlight is None else Highlighter(schema, request.query, request.highlight)
        self._inner = InnerHighlighter(schema, request.query) if schema.has_nested else None
        self._texts: dict[PrimaryKey, RowTexts] = {}

    @property
    def needs_rows(self) -> bool:
        return self._own is not None or (self._inner is not None and self._inner.is_asked)

    def take(self, rows: Iterable[Row]) -> None:
        """Keeps whole rows, some of which the answer will have."""
        self._texts |= {row.key: RowTexts(self._schema, row) for row in rows}

    def fragments(self, rows: Iterable[Row]) -> list[Fragments]:
        """Of rows that were taken; nothing where nobody asked."""
        own = self._own
        return [] if own is None else [own.fragments(self._texts[row.key]) for row in rows]

    def inner_hits(self, rows: Sequence[Row], hits: list[InnerHitsByPath]) -> list[InnerHitsByPath]:
        """``hits`` of rows that were taken, with their fragments, where these were asked for."""
        if self._inner is None or not self._inner.is_asked:
            return hits
        return [self._inner.shown(self._texts[row.key], own) for row, own in zip(rows, hits, strict=True)]
