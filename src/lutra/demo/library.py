"""The standard library's documentation as a searchable table."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from lutra.demo.documentation import Entry
from lutra.demo.texts import search_texts
from lutra.embedding.embedder import TextEmbedder
from lutra.embedding.tfidf import TfidfEmbedder
from lutra.instance.database import Database
from lutra.instance.expression import Expression
from lutra.instance.field import FieldDeclaration, Stored
from lutra.instance.results import Results
from lutra.instance.table import Table
from lutra.instance.text import Text
from lutra.instance.vector import Vector
from lutra.model.errors import Corruption, ObjectAlreadyExist, ObjectNotExist, ParameterInvalid

TABLE: Final = "python_stdlib"

_DIMENSION: Final = 256
_EMBEDDED_AT_ONCE: Final = 200
_SHOWN: Final = ("module", "kind", "signature", "summary")
_FOLDER: Final = "demo"
_EMBEDDER_FILE: Final = "embedder.npz"
_ABOUT_FILE: Final = "about.json"
_VERSION: Final = 3
"""Of what is made of the entries: raise it when `search_texts` or the table's columns change."""


@dataclass(frozen=True, slots=True)
class About:
    """What a filled library says of itself; written last, so that a broken-off filling says nothing."""

    version: int
    python: str
    rows: int
    fingerprint: str


class Library:
    """The table and the embedder that its vectors come from."""

    def __init__(self, table: Table, embedder: TextEmbedder, about: About) -> None:
        self.table = table
        self.embedder = embedder
        self.about = about

    @staticmethod
    def is_in(data: Path) -> bool:
        """Whether the folder ``data`` holds a filled library."""
        return _read_about(data) is not None

    @classmethod
    def open(cls, database: Database, data: Path) -> Library:
        """The library in ``data``, whose database is open. Raises ObjectNotExist where there is none, Corruption."""
        about = _read_about(data)
        if about is None or TABLE not in database.table_names():
            raise ObjectNotExist(f"{data} holds no demo data: run `lutra demo --data {data}` first")
        try:
            embedder = TfidfEmbedder.load(data / _FOLDER / _EMBEDDER_FILE)
        except FileNotFoundError as error:
            raise Corruption(f"{error.filename} is missing: run `lutra demo --data {data}` again") from error
        library = cls(database.table(TABLE), embedder, about)
        rows = library.table.count()
        if rows != about.rows:
            raise Corruption(f"{data} has {rows} of {about.rows} rows: run `lutra demo --data {data}` again")
        return library

    @classmethod
    def fill(
        cls,
        database: Database,
        data: Path,
        entries: Sequence[Entry],
        progress: Callable[[str, int], object] = lambda stage, rows: None,
    ) -> Library:
        """Puts ``entries`` in the table, in place of what is there; leaves it where it is the same.

        ``progress`` is called with a stage, ``"learning"`` or ``"writing"``, and the rows it has done.
        """
        fingerprint = _fingerprint(entries)
        about = _read_about(data)
        if about is not None and about.fingerprint == fingerprint:
            with suppress(Corruption, ObjectNotExist):  # what is damaged is filled anew
                return cls.open(database, data)
        folder = data / _FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _ABOUT_FILE).unlink(missing_ok=True)

        progress("learning", 0)
        texts = search_texts(entries)
        embedder = TfidfEmbedder.fit(texts, _DIMENSION)
        embedder.save(folder / _EMBEDDER_FILE)
        progress("learning", len(entries))

        table = _table(database, folder / _EMBEDDER_FILE)
        table.put_many(_rows(entries, texts, embedder), progress=lambda rows: progress("writing", rows))
        kept = {entry.name for entry in entries}
        table.delete_many([row["name"] for row in table.scan(columns=["kind"]) if row["name"] not in kept])
        about = About(_VERSION, platform.python_version(), len(entries), fingerprint)
        _write_about(data, about)
        return cls(table, embedder, about)

    def search(
        self,
        question: str,
        where: Expression | None = None,
        limit: int = 10,
        *,
        explain: bool = False,
        deadline_ms: int | None = None,
        fresh: bool = True,
    ) -> Results:
        """The entries nearest to ``question``. Raises ParameterInvalid where it has no word that the library knows."""
        (vector,) = self.embedder.embed([question])
        if not vector.any():
            raise ParameterInvalid(f"no word of {question!r} occurs in the documentation")
        return self.table.search(
            vector, where=where, limit=limit, columns=_SHOWN, explain=explain, deadline_ms=deadline_ms, fresh=fresh
        )

    def search_words(
        self,
        question: str,
        where: Expression | None = None,
        limit: int = 10,
        *,
        explain: bool = False,
        deadline_ms: int | None = None,
        fresh: bool = True,
    ) -> Results:
        """The entries whose documentation has words of ``question``, the best by BM25 first."""
        return self.table.search(
            text=question,
            where=where,
            limit=limit,
            columns=_SHOWN,
            explain=explain,
            deadline_ms=deadline_ms,
            fresh=fresh,
        )


def _rows(entries: Iterable[Entry], texts: Iterable[str], embedder: TextEmbedder) -> Iterator[dict[str, object]]:
    pairs = zip(entries, texts, strict=True)
    while batch := list(islice(pairs, _EMBEDDED_AT_ONCE)):
        vectors = embedder.embed([text for _, text in batch])
        for (entry, _), vector in zip(batch, vectors, strict=True):
            yield {**asdict(entry), "embedding": vector}


def _table(database: Database, embedder: Path) -> Table:
    """The table, whose vector field names the saved embedder: so its questions can be asked in words elsewhere, too."""
    fields: dict[str, FieldDeclaration] = {
        "module": str,
        "kind": str,
        "signature": Stored(str),
        "summary": Stored(str),
        "doc": Text(),
        "embedding": Vector(_DIMENSION, "cosine", embed="doc", with_=f"tfidf:{embedder.resolve()}"),
    }
    try:
        return database.create_table(TABLE, {"name": str}, fields, exist_ok=True)
    except ObjectAlreadyExist:  # of an earlier version, with other columns
        database.delete_table(TABLE)
        return database.create_table(TABLE, {"name": str}, fields)


def _fingerprint(entries: Iterable[Entry]) -> str:
    digest = hashlib.sha256(str(_VERSION).encode())
    for entry in entries:
        digest.update(json.dumps(asdict(entry)).encode())
    return digest.hexdigest()


def _read_about(data: Path) -> About | None:
    try:
        return About(**json.loads((data / _FOLDER / _ABOUT_FILE).read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError):  # of another version, or damaged: filled anew
        return None


def _write_about(data: Path, about: About) -> None:
    path = data / _FOLDER / _ABOUT_FILE
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("w", encoding="utf-8") as file:
        json.dump(asdict(about), file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
