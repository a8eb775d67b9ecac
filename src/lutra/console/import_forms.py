"""What somebody says in a form about how the columns of a file become those of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Final, get_args

from lutra.console.imports import REJECTED_MAX_DEFAULT
from lutra.embedding.models import ModelName, model_names, reads_path
from lutra.instance.text import AnalyzerName
from lutra.instance.vector import MetricName
from lutra.transfer.csv_dialect import CsvOptions
from lutra.transfer.data_file import FORMATS, FormatName
from lutra.transfer.mapping import ColumnMapping, EmbeddedColumn, Place
from lutra.transfer.plan import Plan

TYPES: Final = (
    "keyword",
    "text",
    *(f"text:{analyzer}" for analyzer in get_args(AnalyzerName)),
    "int",
    "float",
    "bool",
    "datetime",
    "datetime:s",
    "datetime:ms",
    "datetime:us",
    "geo",
    "bytes",
    "stored",
    *(f"vector:{metric}" for metric in get_args(MetricName)),
    *(f"list[{name}]" for name in ("keyword", "int", "float", "bool", "datetime", "geo")),
)
"""That a column can be said to be; what a column of an existing table is, that table says."""
DELIMITERS: Final = {"": "", "comma": ",", "tab": "\t", "semicolon": ";", "pipe": "|"}
PLACES: Final = 3
EMBEDDED: Final = 2
_COLUMNS_MAX: Final = 1_000
_REJECTED_MAX: Final = 1_000_000
_NULLS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class ImportForm:
    """As it was sent; ``columns`` are those that the file was found to have. ``problem`` says what of it cannot be: the
    rest stays as it was typed."""

    table: str
    mapping: ColumnMapping
    rejected_max: int = REJECTED_MAX_DEFAULT
    columns: tuple[str, ...] = ()
    problem: str = ""

    @property
    def delimiter_name(self) -> str:
        return next(name for name, one in DELIMITERS.items() if one == (self.mapping.csv.delimiter or ""))

    @property
    def header(self) -> str:
        return ",".join(self.mapping.csv.header or ())

    @property
    def nulls(self) -> str:
        return ",".join(one for one in self.mapping.csv.nulls if one)

    def name_of(self, source: str) -> str:
        return self.mapping.renamed.get(source, source)

    def type_of(self, source: str) -> str:
        """What it is said to be; "" where the values say it."""
        return self.mapping.types.get(source, "")

    @property
    def embedded(self) -> Sequence[EmbeddedColumn]:
        """With room for one more."""
        return [*self.mapping.embedded, EmbeddedColumn("", "", "")][:EMBEDDED]

    @property
    def places(self) -> Sequence[Place]:
        """With room for one more."""
        given = list(self.mapping.places)
        return [*given, Place("", "", "")][:PLACES]


def form_of(form: Mapping[str, Any]) -> ImportForm:
    """Nothing that was typed is lost where a part of it is wrong: its `ImportForm.problem` is the first of those."""
    problems: list[str] = []
    sources: list[str] = []
    types: dict[str, str] = {}
    renamed: dict[str, str] = {}
    skipped: list[str] = []
    key: list[str] = []
    for number in range(_COLUMNS_MAX):
        source = form.get(f"source-{number}")
        if not isinstance(source, str):
            break
        sources.append(source)
        name, type_ = _text(form, f"name-{number}"), _text(form, f"type-{number}")
        if name and name != source:
            renamed[source] = name
        if type_:
            types[source] = type_
        if form.get(f"skip-{number}") is not None:
            skipped.append(source)
        if form.get(f"key-{number}") is not None:
            key.append(source)
    mapping = ColumnMapping(
        tuple(key),
        types,
        renamed,
        tuple(skipped),
        places=tuple(_places(form, problems)),
        embedded=tuple(_embedded(form, problems)),
        csv=_csv(form, problems),
        format=_format(form, problems),
    )
    rejected = _text(form, "rejected_max")
    rejected_max = REJECTED_MAX_DEFAULT
    if rejected.isdecimal() and len(rejected) < 10 and int(rejected) <= _REJECTED_MAX:
        rejected_max = int(rejected)
    elif rejected:
        problems.append(f"An import stops after 0 to {_REJECTED_MAX:,} rejected rows, not {rejected[:20]!r}.")
    return ImportForm(_text(form, "table"), mapping, rejected_max, tuple(sources), problems[0] if problems else "")


def with_what_there_is(form: ImportForm, plan: Plan) -> ImportForm:
    """With the columns that the file was found to have; the key that was found, too, so that it can be changed."""
    sources = [column.source for column in plan.columns if column.source is not None]
    places = [name for column in plan.columns if column.place is not None for name in _parts(column.place)]
    key = tuple(column.source for column in plan.columns if column.is_key and column.source is not None)
    found = tuple(dict.fromkeys((*form.columns, *sources, *places, *plan.skipped)))
    return replace(form, columns=found, mapping=replace(form.mapping, key=form.mapping.key or key))


def _parts(place: Place) -> tuple[str, str]:
    return place.lat, place.lon


def _places(form: Mapping[str, Any], problems: list[str]) -> list[Place]:
    places = []
    for number in range(PLACES):
        lat, lon, name = (_text(form, f"{part}-{number}") for part in ("lat", "lon", "place"))
        if not (lat or lon or name):
            continue
        if not (lat and lon and name):
            problems.append("A place is made of a column of latitudes and one of longitudes, and has a name.")
        places.append(Place(lat, lon, name))
    return places


def _embedded(form: Mapping[str, Any], problems: list[str]) -> list[EmbeddedColumn]:
    columns = []
    for number in range(EMBEDDED):
        source, name, model = (_text(form, f"{part}-{number}") for part in ("embed", "vector", "model"))
        if not (source or name or model):
            continue
        if not (source and name and model):
            problems.append("Vectors are made of a column, by a model, and have a name.")
        elif model.partition(":")[0] not in {one.name.partition(":")[0] for one in models()} or reads_path(model):
            problems.append(_no_model(model))
        columns.append(EmbeddedColumn(source, name, model))
    return columns


def _no_model(model: str) -> str:
    names = [one.name for one in models()]
    meant = get_close_matches(model[:60], names, 1)
    return f"There is no model {model[:60]!r} here: there are {', '.join(names)}." + (
        f" Did you mean {meant[0]!r}?" if meant else ""
    )


def models() -> list[ModelName]:
    """Those that a form may name: of the ones that are a file of the server's, none."""
    return [one for one in model_names() if one.is_service or ":" not in one.name]


def _csv(form: Mapping[str, Any], problems: list[str]) -> CsvOptions:
    name = _text(form, "delimiter")
    if name not in DELIMITERS:
        problems.append(f"Values are parted by one of {', '.join(DELIMITERS)}.")
    header, nulls = _text(form, "header"), _text(form, "nulls")
    signs = nulls.split(",") if nulls else []
    if len(signs) > _NULLS_MAX:
        problems.append(f"At most {_NULLS_MAX} texts stand for no value.")
        signs = signs[:_NULLS_MAX]
    return CsvOptions(
        DELIMITERS.get(name) or None,
        tuple(header.split(",")) if header else None,
        ("", *signs),
    )


def _format(form: Mapping[str, Any], problems: list[str]) -> FormatName | None:
    said = _text(form, "format")
    if not said:
        return None
    found = next((one for one in FORMATS if one == said), None)
    if found is None:
        problems.append(f"A file is one of {', '.join(FORMATS)}.")
    return found


def _text(form: Mapping[str, Any], name: str) -> str:
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""
