"""Makes the plan of an import: of what files have, what somebody says about it, and the table, where there is one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from lutra.embedding.models import canonical_name, open_model, reads_path
from lutra.index.definitions.schema import validate_schema
from lutra.instance.database import Database
from lutra.instance.field import Field, FieldDeclaration, Kind
from lutra.instance.layout import KeyDeclaration, Layout
from lutra.instance.table import Table
from lutra.instance.vector import Vector
from lutra.model import limits
from lutra.model.errors import LutraError, ParameterInvalid
from lutra.model.geo import GeoPoint
from lutra.model.suggestions import suggestion
from lutra.model.values import AUTO_INCREMENT
from lutra.transfer.conversion import UNITS_PER_S
from lutra.transfer.data_file import DataFile
from lutra.transfer.field_types import declared_type, type_text
from lutra.transfer.mapping import ColumnMapping, EmbeddedColumn
from lutra.transfer.observation import Guess, Seen
from lutra.transfer.parquet_reader import ParquetReader
from lutra.transfer.plan import FILE_COLUMN, ROW_COLUMN, Plan, PlannedColumn
from lutra.transfer.positions import RowReader
from lutra.transfer.sampling import SAMPLE_ROWS_DEFAULT, Sample, reader_of
from lutra.transfer.table_schema import TableDeclaration
from lutra.transfer.trial import place_of, tried

_SAMPLE_ROWS_MIN: Final = 1_000
_KEY_TYPES: Final[dict[object, KeyDeclaration]] = {str: str, int: int, bytes: bytes}


def plan_import(
    database: Database | None,
    table: str,
    files: Sequence[DataFile],
    mapping: ColumnMapping,
    *,
    declared: TableDeclaration | None = None,
    sample_rows: int = SAMPLE_ROWS_DEFAULT,
    is_being_made: bool = False,
    is_sent: bool = False,
) -> Plan:
    """Reads the begin of the files and changes nothing.

    :param database: where the table is, or will be; None: it is to be made.
    :param is_being_made: whether the table, where it is there, is one that an earlier run did not come to make whole.
    :param is_sent: whether the files come from somebody who has no right to read this machine's: then none of them
        names a model that lies at a path.
    :param declared: what key and fields a new table has, where somebody has said so.
    :raises ParameterInvalid: columns, options and table do not go together.
    :raises StorageFailure: a file cannot be read.
    :raises ImportError: a library that reads it is not there.
    """
    readers = [reader_of(file, mapping.csv) for file in files]
    sample = Sample()
    for number, reader in enumerate(readers):
        sample.take(number, reader, max(_SAMPLE_ROWS_MIN, sample_rows // len(files)))
    existing = None
    if database is not None and table in database.table_names() and not is_being_made:
        existing = database.table(table)
    if declared is None and existing is None:
        declared = _declared_by(readers, is_sent=is_sent)
    return _Planner(table, files, readers, mapping, sample, existing, declared).plan()


def _declared_by(readers: Iterable[RowReader], *, is_sent: bool) -> TableDeclaration | None:
    """What all files say of the table that they were made from."""
    found = [reader.table_schema if isinstance(reader, ParquetReader) else None for reader in readers]
    if not found or found[0] is None or any(one != found[0] for one in found):
        return None
    try:
        declared = TableDeclaration.of_json(found[0])
    except ParameterInvalid:  # of a later version, maybe: it is but a hint
        return None
    return TableDeclaration(declared.key, {name: _with_model_here(of, is_sent) for name, of in declared.fields.items()})


def _without_model(of: FieldDeclaration) -> FieldDeclaration:
    return replace(of, embed=None, with_=None) if isinstance(of, Vector) else of


def _with_model_here(of: FieldDeclaration, is_sent: bool) -> FieldDeclaration:
    """A field that a file was made from, without its model where that is not to be had here, or not to be opened."""
    if isinstance(of, Vector) and of.with_ is not None:
        try:
            if is_sent and reads_path(of.with_):
                return _without_model(of)
            open_model(of.with_, of.dimension)
        except LutraError:
            return _without_model(of)
    return of


class _Planner:
    def __init__(
        self,
        table: str,
        files: Sequence[DataFile],
        readers: Sequence[RowReader],
        mapping: ColumnMapping,
        sample: Sample,
        existing: Table | None,
        declared: TableDeclaration | None,
    ) -> None:
        self._table = table
        self._files = files
        self._readers = readers
        self._mapping = mapping
        self._sample = sample
        self._existing = existing
        self._declared = declared
        self._targets = {name: mapping.renamed.get(name, name) for name in sample.names}

    def plan(self) -> Plan:
        self._check_options()
        sources = self._sources()
        key = self._key(sources)
        columns = [*self._columns(sources, key), *self._places(), *self._embedded(), *self._made(key)]
        if self._existing is None and self._declared is not None:
            columns += self._declared_only(columns)
        columns.sort(key=lambda one: key.index(one.name) if one.is_key else len(key))
        self._check_columns(columns, key)
        layout = self._layout(columns)
        is_there = self._existing is not None
        skipped = [name for name in self._mapping.skipped if name in self._sample.seen]
        rows_seen = self._sample.rows + len(self._sample.bad)
        plan = Plan(self._table, self._files, self._readers, columns, skipped, layout, is_there, rows_seen)
        return replace(plan, trial=tried(plan, self._sample))

    # --- what is said -------------------------------------------------------------------------------------------

    def _check_options(self) -> None:
        """That options name columns that there are."""
        mapping, names = self._mapping, self._sample.names
        if self._existing is not None and AUTO_INCREMENT in self._existing.key.values():
            raise ParameterInvalid(
                f"table {self._table!r} chooses its keys: what is imported again after a stop would be there twice. "
                "Make a table with a key of its own"
            )
        if not names:
            if not self._sample.bad:
                raise ParameterInvalid(f"{self._files[0].path} has no rows")
            number, row = self._sample.bad[0]
            raise ParameterInvalid(
                f"{self._files[number].path} has no row that can be read: {place_of(row)}: {row.wrong}"
            )
        own = {place.name for place in mapping.places}
        said = [
            *(("--rename", name) for name in mapping.renamed),
            *(("--skip", name) for name in mapping.skipped),
            *(("--vector", name) for name in mapping.vectors),
            *(("--geo", name) for place in mapping.places for name in (place.lat, place.lon)),
            *(("--embed", one.source) for one in mapping.embedded),
            *(("--key", name) for name in mapping.key),
        ]
        known = {*names, *self._targets.values(), *own}
        for option, name in said:
            if name not in known:
                raise ParameterInvalid(f"{option}: there is no column {name!r}: there are {self._shown(name)}")
        if all(reader.names for reader in self._readers):
            for name in mapping.types:
                if name not in known:
                    raise ParameterInvalid(f"--type: there is no column {name!r}: there are {self._shown(name)}")

    def _shown(self, name: str) -> str:
        return f"{', '.join(self._sample.names)}{suggestion(name, self._sample.names)}"

    def _said(self, of: Any, source: str) -> Any:
        """What is said of a column, by its name in the file or in the table."""
        return of.get(self._targets.get(source, source), of.get(source))

    def _sources(self) -> list[str]:
        """The columns of the files that are to be written one by one."""
        left_out = {
            *self._mapping.skipped,
            *(name for place in self._mapping.places for name in (place.lat, place.lon)),
        }
        given = [name for name in self._sample.names if name not in left_out and self._targets[name] not in left_out]
        later = [name for name in self._mapping.types if name not in {*self._targets, *self._targets.values()}]
        for name in later:
            self._targets[name] = self._mapping.renamed.get(name, name)
        sources = [*given, *later]
        targets = [self._targets[name] for name in sources]
        for source, target in zip(sources, targets, strict=True):
            if targets.count(target) > 1:
                raise ParameterInvalid(f"several columns are to be called {target!r}, {source!r} among them: --rename")
        return sources

    # --- the key ------------------------------------------------------------------------------------------------

    def _key(self, sources: Sequence[str]) -> list[str]:
        """The names of the key columns, as the table has them."""
        said = [self._targets.get(name, name) for name in self._mapping.key]
        if self._existing is not None:
            key = list(self._existing.key)
            if said and said != key:
                raise ParameterInvalid(
                    f"--key: table {self._table!r} has the key {','.join(key)}, not {','.join(said)}"
                )
            return key
        if said:
            return said
        targets = [self._targets[name] for name in sources]
        if self._declared is not None and all(name in targets for name in self._declared.key):
            return list(self._declared.key)
        found = self._sample.key_column()
        if found is not None and found in sources:
            return [self._targets[found]]
        return [FILE_COLUMN, ROW_COLUMN]

    def _made(self, key: Sequence[str]) -> list[PlannedColumn]:
        """The key that rows do not bring."""
        if [*key] != [FILE_COLUMN, ROW_COLUMN] or FILE_COLUMN in self._targets.values():
            return []
        names = [file.path.name for file in self._files]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ParameterInvalid(
                f"two files are called {twice}, so their rows cannot be told apart by file and number: say --key, or "
                "import them one by one"
            )
        return [
            PlannedColumn(FILE_COLUMN, None, str, True, note="no column is a key: the file's name", example=names[0]),
            PlannedColumn(
                ROW_COLUMN, None, int, True, note="and the row's number in it (--key says otherwise)", example=1
            ),
        ]

    # --- columns ------------------------------------------------------------------------------------------------

    def _columns(self, sources: Sequence[str], key: Sequence[str]) -> list[PlannedColumn]:
        return [self._column(source, self._targets[source], is_key=self._targets[source] in key) for source in sources]

    def _column(self, source: str, name: str, *, is_key: bool) -> PlannedColumn:
        seen = self._sample.seen.get(source, Seen())
        guess, unit = self._guess(source, seen)
        known = self._known(name)
        if known is not None:
            guess = Guess(known, _differs(known, guess.declaration) if seen.count else guess.note)
        elif self._existing is not None and self._existing.fields and not is_key:
            has = ", ".join([*self._existing.key, *self._existing.fields])
            hint = suggestion(name, [*self._existing.key, *self._existing.fields])
            raise ParameterInvalid(
                f"table {self._table!r} has no column {name!r}: say --rename {source}=COLUMN, or --skip {source}. It "
                f"has {has}{hint}"
            )
        declaration: FieldDeclaration | KeyDeclaration = guess.declaration
        note = guess.note
        if is_key and known is None:
            declaration, note = self._key_type(source, seen, guess)
        return PlannedColumn(name, source, declaration, is_key, unit, note, seen.example)

    def _known(self, name: str) -> Any:
        """How the table declares it, where that is known."""
        table = self._existing or self._declared
        if table is None:
            return None
        return table.key.get(name, table.fields.get(name))

    def _guess(self, source: str, seen: Seen) -> tuple[Guess, str | None]:
        """The type that is said, else the one that its values have; and the unit of dates."""
        guess = seen.guess(source, self._sample.hints.get(source))
        metric = self._said(self._mapping.vectors, source)
        if metric is not None:
            return Guess(declared_type(f"vector:{metric}" if metric else "vector", _dimension(seen))), None
        text = self._said(self._mapping.types, source)
        if text is None:
            return guess, None
        name, _, unit = text.partition(":")
        if name in ("datetime", "date", "timestamp") and unit:
            if unit not in UNITS_PER_S:
                raise ParameterInvalid(f"--type {source}={text}: numbers count {', '.join(UNITS_PER_S)} since 1970")
            return Guess(declared_type(name)), unit
        return Guess(declared_type(text, _dimension(seen))), None

    def _key_type(self, source: str, seen: Seen, guess: Guess) -> tuple[KeyDeclaration, str]:
        said = self._said(self._mapping.types, source)
        key_type = _KEY_TYPES.get(guess.declaration)
        if key_type is not None:
            return key_type, guess.note
        if said is not None or seen.kinds.keys() & {"list", "object", "float"}:
            raise ParameterInvalid(
                f"column {source!r} cannot be a key: a key is keyword, int or bytes, not {type_text(guess.declaration)}"
            )
        return str, "a key: kept as it is written"

    def _places(self) -> list[PlannedColumn]:
        return [
            PlannedColumn(place.name, None, GeoPoint, place=place, note=f"of {place.lat} and {place.lon}")
            for place in self._mapping.places
        ]

    def _embedded(self) -> list[PlannedColumn]:
        """Fields whose vectors a model is to make."""
        return [self._embedded_field(one) for one in self._mapping.embedded]

    def _embedded_field(self, said: EmbeddedColumn) -> PlannedColumn:
        source, model = self._targets.get(said.source, said.source), canonical_name(said.model)
        if said.name in self._targets.values():
            raise ParameterInvalid(f"--embed: the files have a column {said.name!r}: call the field otherwise")
        if self._existing is None:
            declaration = Vector(open_model(model).dimension, embed=source, with_=model)
        else:
            known = self._existing.fields.get(said.name)
            if not isinstance(known, Vector) or (known.embed, known.with_) != (source, model):
                raise ParameterInvalid(
                    f"--embed: table {self._table!r} is there, without such a field: `lutra embed` adds one to it"
                )
            declaration = known
        return PlannedColumn(said.name, None, declaration, note=f"made of {source}, by {model}")

    def _declared_only(self, columns: Sequence[PlannedColumn]) -> list[PlannedColumn]:
        """Fields that a new table is said to have, and files do not."""
        there = {column.name for column in columns}
        fields = self._declared.fields if self._declared is not None else {}
        return [
            PlannedColumn(name, None, declaration, note="not in the files")
            for name, declaration in fields.items()
            if name not in there
        ]

    # --- whether it goes together -------------------------------------------------------------------------------

    def _check_columns(self, columns: Sequence[PlannedColumn], key: Sequence[str]) -> None:
        there = {column.name for column in columns}
        for name in key:
            if name not in there:
                raise ParameterInvalid(
                    f"nothing is given for the key column {name!r}: say which it is by --rename COLUMN={name}. There "
                    f"are {self._shown(name)}"
                )
        for column in columns:
            source = column.source or column.name
            said = (self._said(of, source) for of in (self._mapping.types, self._mapping.vectors))
            if (
                self._existing is not None
                and self._known(column.name) is not None
                and any(one is not None for one in said)
            ):
                _check_same(self._table, column, *self._guess(source, self._sample.seen.get(source, Seen())))

    def _layout(self, columns: Sequence[PlannedColumn]) -> Layout:
        """Raises ParameterInvalid where there can be no such table."""
        existing, declared = self._existing, self._declared
        if existing is not None:
            if declared is not None and (existing.key, existing.fields) != (declared.key, declared.fields):
                raise ParameterInvalid(f"--schema: table {self._table!r} is there, with another key or other fields")
            # Whether their models can be had here is asked where one is needed: vectors may be in the files.
            given = {name: _without_model(of) for name, of in existing.fields.items()}
            return Layout.declared(self._table, existing.key, given)
        if limits.NAME_PATTERN.fullmatch(self._table) is None:
            raise ParameterInvalid(
                f"{self._table!r} cannot be a table's name: letters, digits and '_', no digit first, 255 at most"
            )
        for column in columns:
            if column.is_key and limits.NAME_PATTERN.fullmatch(column.name) is None:
                plain = _plain_name(column.name)
                raise ParameterInvalid(
                    f"{column.name!r} cannot be the name of a key: letters, digits and '_', no digit first. Say "
                    f"--rename '{column.source}={plain}' --key {plain}"
                )
        key = {column.name: column.declaration for column in columns if column.is_key}
        fields = {column.name: column.declaration for column in columns if not column.is_key}
        layout = Layout.declared(self._table, key, fields)  # type: ignore[arg-type]
        schema = layout.index_schema()
        if schema is not None:
            validate_schema(schema, layout.table_schema())
        return layout


def _plain_name(name: str) -> str:
    """One that a key can have, as much like ``name`` as that allows."""
    plain = "".join(one if one.isalnum() and one.isascii() else "_" for one in name).strip("_") or "id"
    return f"_{plain}" if plain[0].isdigit() else plain


def _dimension(seen: Seen) -> int | None:
    """Of the vectors seen, most of them."""
    return seen.lengths.most_common(1)[0][0] if seen.lengths else None


def _differs(known: Any, found: Any) -> str:
    if isinstance(known, Vector) and isinstance(found, Vector):
        if known.dimension != found.dimension:
            return f"the files' vectors are of {found.dimension}"
        return ""
    kinds = [Field.declared("", one).kind for one in (known, found)]
    texts = {Kind.STR, Kind.TEXT}
    return "" if kinds[0] is kinds[1] or {*kinds} <= texts else f"looks like {type_text(found)}"


def _check_same(table: str, column: PlannedColumn, said: Guess, unit: str | None) -> None:
    """That a type which is said is the one that the table has; a unit says how to read it, and goes with any."""
    if unit is None and type_text(said.declaration) != type_text(column.declaration):
        raise ParameterInvalid(
            f"--type, --vector: column {column.name!r} of table {table!r} is {type_text(column.declaration)}, not "
            f"{type_text(said.declaration)}"
        )
