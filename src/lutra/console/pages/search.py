"""The search page of a table: a form, which the address holds, and what it finds."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import Response

from lutra.console.code import TITLES, of_search
from lutra.console.define.programs import place_of
from lutra.console.explaining import ExplanationPicture, picture_of
from lutra.console.request import ConsoleRequest
from lutra.console.routing import action, page
from lutra.console.row_keys import key_of_token, key_text, key_token
from lutra.console.search import address
from lutra.console.search.charts import Chart, Figure, charts_of
from lutra.console.search.examples import Example, examples_of
from lutra.console.search.faults import Fault, SpecInvalid
from lutra.console.search.fields import SearchField, SearchFields
from lutra.console.search.finding import packed
from lutra.console.search.hits import CARD_CHARS_MAX, GRID_CHARS_MAX, Hit, columns_of, hits_of
from lutra.console.search.node import Node
from lutra.console.search.pictures import picture_type
from lutra.console.search.spec import Asked, asked_of
from lutra.console.search.vectors import TableVectors
from lutra.embedding.embedder import EmbeddingError
from lutra.model import limits
from lutra.model.errors import InvalidPrimaryKey, ParameterInvalid, RequestTimeout
from lutra.model.queries import Highlight, HighlightField, SearchResult

_FRESH_S: Final = 0.3
"""So long a search waits for an index to be as new as its table."""
_PICTURE_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
    "cache-control": "private, max-age=300",
}


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, for the page."""

    asked: Asked
    result: SearchResult
    hits: tuple[Hit, ...]
    charts: tuple[Figure | Chart, ...]
    took_ms: float
    is_fresh: bool
    explanation: ExplanationPicture | None
    programs: dict[str, str]
    """That ask the same, by language; none where nobody asked for them."""

    @property
    def columns(self) -> list[str]:
        return columns_of(self.hits)

    @property
    def figures(self) -> list[Figure]:
        return [one for one in self.charts if isinstance(one, Figure)]

    @property
    def groupings(self) -> list[Chart]:
        return [one for one in self.charts if isinstance(one, Chart)]

    @property
    def first(self) -> int:
        return self.asked.request.offset + 1

    @property
    def last(self) -> int:
        return self.asked.request.offset + len(self.hits)

    @property
    def page_rows(self) -> int:
        return self.asked.request.limit or 0

    @property
    def is_collapsed(self) -> bool:
        """Whether the total says nothing of how many rows there are to show."""
        return self.asked.request.collapse is not None

    @property
    def has_more(self) -> bool:
        """Whether rows follow; where nobody counted them, whether some may."""
        if self.is_collapsed:
            return len(self.hits) == self.page_rows > 0
        return self.result.total > self.last


class SearchPage:
    """One request for the page of one table."""

    def __init__(self, asked: ConsoleRequest, index: str) -> None:
        self._asked = asked
        self._name, self._index = asked.path["table"], index
        self._layout = asked.layout
        schema = asked.instance.describe_search_index(self._name, index).schema
        self.fields = SearchFields(schema, self._layout.key)
        self._vectors = TableVectors(asked.table)

    def response(self) -> Response:
        """The page; of a search that makes no sense with what is wrong, at its place."""
        spec, faults = self._spec_and_faults()
        found: Found | None = None
        if spec is not None and not faults:
            try:
                found = self._found(spec)
            except SpecInvalid as error:
                faults = error.faults
            except ParameterInvalid as error:
                faults = (Fault("", "{reason}", {"reason": str(error)}),)
        asked = self._asked
        return asked.render(
            "search.html",
            400 if faults else 200,
            **asked.table_context("search"),
            index=self._index,
            indexes=[name for _, name in asked.instance.list_search_indexes(self._name)],
            found=found,
            parameter="" if spec is None else address.written(spec),
            faults=[(fault.place, asked.text(fault.message, **fault.values)) for fault in faults],
            examples=self._examples() if spec is None else (),
            model=self._model(spec, faults),
            mapped=[field.name for field in self.fields.schema.fields if field.vector is not None],
            program_titles=TITLES,
            links=Links(asked),
        )

    def _spec_and_faults(self) -> tuple[dict[str, Any] | None, tuple[Fault, ...]]:
        """The search that the address holds, if any, with what its links add to it."""
        query = self._asked.query
        if not query.get("s"):
            return None, ()
        try:
            spec = address.read(query["s"])
            if not isinstance(spec, dict):
                raise SpecInvalid((Node(spec).wrong("This must be an object.").fault,))
            if query.get("offset"):
                spec = {**spec, "offset": query["offset"]}
            if query.get("add"):
                spec = {**spec, "offset": 0, "where": _with(spec.get("where"), address.read(query["add"]))}
        except SpecInvalid as error:
            return None, error.faults
        return spec, ()

    def _found(self, spec: dict[str, Any]) -> Found:
        asked = asked_of(spec, self.fields, self._vectors)
        instance = self._asked.instance
        is_fresh = True
        try:
            instance.wait_searchable(self._name, self._index, _FRESH_S)
        except RequestTimeout:
            is_fresh = False
        began_s = time.perf_counter()
        result = instance.search(self._name, self._index, asked.request)
        took_ms = (time.perf_counter() - began_s) * 1e3
        chars_max = GRID_CHARS_MAX if asked.view == "grid" else CARD_CHARS_MAX
        hits = hits_of(result, asked.request.query, self.fields, self._layout, asked.is_scored, chars_max)
        charts: tuple[Figure | Chart, ...] = ()
        if result.aggregated is not None:
            charts = charts_of(result.aggregated, asked.wanted, result.total, self.fields, self._asked.text)
        told = result.stats.explanation
        explained = None if told is None else picture_of(told, self._asked.text)
        programs = self._programs(asked, "words" in spec) if self._asked.query.get("code") else {}
        return Found(asked, result, hits, charts, took_ms, is_fresh, explained, programs)

    def _programs(self, asked: Asked, has_words: bool) -> dict[str, str]:
        """The search as a program in each language, with the marks where the index gives them."""
        request = asked.request
        marked = [
            HighlightField(one.name)
            for one in self.fields.texts
            if has_words and not one.space and one.schema.text is not None and one.schema.text.highlighting
        ]
        if marked:
            request = replace(request, highlight=Highlight(tuple(marked[: limits.HIGHLIGHT_FIELDS_MAX])))
        table = self._asked.instance.tables.describe(self._name).schema
        return of_search(place_of(self._asked), table, self._index, self.fields.schema, request)

    def _examples(self) -> list[Example]:
        first = next(iter(self._asked.table.scan(limit=1)), None)
        return examples_of(self.fields, None if first is None else key_token(first.key), self._asked.text)

    def _model(self, spec: dict[str, Any] | None, faults: tuple[Fault, ...]) -> dict[str, Any]:
        """What the page's script makes the form of."""
        return {
            "spec": spec or {},
            "faults": [{"place": one.place, "text": self._asked.text(one.message, **one.values)} for one in faults],
            "fields": [field.described() for field in self.fields.all],
            "spaces": list(self.fields.spaces),
            "key": [{"name": column.name, "type": column.type.value} for column in self._layout.key],
            "keyParts": self._key_parts(spec),
            "columns": list(self._layout.fields),
            "models": {
                field.name: [
                    {"name": one.name, "kind": one.kind, "about": one.about, "own": one.is_own}
                    for one in self._vectors.models(field)
                ]
                for field in self.fields.vectors
            },
        }

    def _key_parts(self, spec: dict[str, Any] | None) -> list[str]:
        """The key of the row that others are to be like, as people type it."""
        near = (spec or {}).get("near")
        token = near.get("key") if isinstance(near, dict) else None
        if not isinstance(token, str):
            return []
        try:
            return [key_text(value) for _, value in key_of_token(token, self._layout.key)]
        except InvalidPrimaryKey:
            return []


def _with(where: Any, part: Any) -> Any:
    """Conditions, and one more."""
    if isinstance(where, dict) and where.get("group") == "all" and "within" not in where:
        parts = where.get("parts") or []
        return {"group": "all", "parts": [*parts, part]} if isinstance(parts, list) else where
    return {"group": "all", "parts": [part] if where is None else [where, part]}


class Links:
    """Addresses that a page's rows lead to."""

    def __init__(self, asked: ConsoleRequest) -> None:
        index = asked.query.get("index")
        self._chosen = {"index": index} if index else {}
        self._table = asked.url("table", instance=asked.path["instance"], table=asked.path["table"])

    def _of(self, below: str, **query: str) -> str:
        return f"{self._table}{below}?{urlencode({**query, **self._chosen})}"

    def search(self, spec: dict[str, Any]) -> str:
        return self._of("/search", s=address.written(spec))

    def like(self, hit: Hit, field: str) -> str:
        return self.search({"near": {"field": field, "by": "row", "key": hit.key}})

    def row(self, hit: Hit) -> str:
        return self._of("/data/row", key=hit.key)

    def picture(self, hit: Hit, column: str) -> str:
        return self._of("/search/picture", key=hit.key, column=column)

    def changed(self, parameter: str, **changes: Any) -> str:
        """The same search, but for ``changes``."""
        return self.search({**address.read(parameter), **changes})

    def map(self, hit: Hit, field: str) -> str:
        return self._of("/map", field=field, key=hit.key)

    def code(self, parameter: str) -> str:
        """The same search, with programs that ask it."""
        return self._of("/search", s=parameter, code="1") + "#code"

    def condition(self, condition: dict[str, Any]) -> str:
        return address.written(condition)


def show(asked: ConsoleRequest) -> Response:
    """The form, and what it finds."""
    index = asked.layout.index
    if index is None:
        return asked.render("search_without_index.html", **asked.table_context("search"))
    return SearchPage(asked, index).response()


def picture(asked: ConsoleRequest) -> Response:
    """The picture that a column of a row holds, as that and nothing else."""
    key = key_of_token(asked.query.get("key", ""), asked.layout.key)
    column = asked.query.get("column", "")
    # All of the row: a column that nobody declared cannot be asked for alone.
    row = asked.table.get(*(value for _, value in key))
    content = None if row is None else row.get(column)
    kind = picture_type(content)
    if kind is None:
        raise HTTPException(404)
    return Response(content, headers={"content-type": kind, **_PICTURE_HEADERS})


def vector_of_picture(asked: ConsoleRequest) -> Response:
    """The vector of a picture that was uploaded, by a model of the field, for a script of the page."""
    index, upload = asked.layout.index, asked.form.get("picture")
    if index is None or not isinstance(upload, UploadFile):
        raise ParameterInvalid(asked.text("Choose a picture."))
    content = upload.file.read()
    if picture_type(content) is None:
        raise ParameterInvalid(asked.text("This is no picture: PNG, JPEG, GIF or WebP."))
    field = _vector_field(asked, index)
    model = asked.form.get("model")
    try:
        vector = TableVectors(asked.table).of_picture(field, content, str(model) if model else None)
    except EmbeddingError as error:
        raise ParameterInvalid(str(error)) from error
    return asked.json({"vector": packed(vector)})


def _vector_field(asked: ConsoleRequest, index: str) -> SearchField:
    schema = asked.instance.describe_search_index(asked.path["table"], index).schema
    fields, name = SearchFields(schema, asked.layout.key), str(asked.form.get("field", ""))
    found = next((field for field in fields.vectors if field.name == name), None)
    if found is None:
        raise ParameterInvalid(asked.text("There is no field {name}.", name=name[:100]))
    return found


ROUTES: Final = (
    page("/i/{instance}/t/{table}/search", show, name="search"),
    page("/i/{instance}/t/{table}/search/picture", picture, name="search_picture"),
    action("/i/{instance}/t/{table}/search/vector", vector_of_picture, name="search_vector"),
)
