"""Documents in tables: filled from files, again and again, at the cost of what has changed."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import lutra
from examples.assistant import chunks
from examples.assistant.chunks import Chunk, chunks_of
from examples.assistant.reading.document import Document, UnreadableDocument
from examples.assistant.reading.reader import read_bytes, read_document
from examples.assistant.sources import Source
from lutra.embedding.embedder import EmbeddingError, TextEmbedder
from lutra.embedding.models import open_model

PASSAGES: Final = "assistant_passages"
DOCUMENTS: Final = "assistant_documents"
SETTINGS: Final = "assistant_settings"
_MODEL: Final = "model"
_VERSION: Final = 1
"""Of the tables' columns."""
_PUT_AT_ONCE: Final = 16


class NotFilled(lutra.ObjectNotExist):
    """There are no documents yet; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a filling is. Bytes are of the files that are new or have changed."""

    document: str
    bytes_done: int
    bytes_in_all: int


@dataclass(slots=True)
class Filled:
    """What a filling did. ``problems`` are files that could not be read, and why; what there was of them stays."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    passages_embedded: int = 0
    passages_reused: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Work:
    source: Source
    digest: str
    size_bytes: int


class Library:
    """The tables of documents and of their passages. One thread fills it at a time; any may read."""

    def __init__(self, database: lutra.Database, documents: lutra.Table, passages: lutra.Table, model: str) -> None:
        self.database = database
        self.documents = documents
        self.passages = passages
        self.model = model

    @classmethod
    def open(cls, database: lutra.Database) -> Library:
        """The library that is there. Raises NotFilled."""
        settings = database.table(SETTINGS).get(_MODEL) if SETTINGS in database else None
        if settings is None or settings.get("version") != _VERSION or PASSAGES not in database:
            raise NotFilled("there are no documents yet: run `python -m examples.assistant fill` first")
        return cls(database, database.table(DOCUMENTS), database.table(PASSAGES), settings["value"])

    @classmethod
    def make(cls, database: lutra.Database, model: str) -> Library:
        """The library for vectors of ``model``, a name as `lutra.open_model` takes it, made where there is none.

        One of another model's vectors goes: they do not compare. So does one of an earlier version of this program.
        Raises EmbeddingError and ParameterInvalid where there is no such model of texts.
        """
        dimension = text_model(model).dimension
        settings = database.create_table(SETTINGS, key={"name": str}, exist_ok=True)
        there = settings.get(_MODEL)
        if there is not None and (there["value"], there.get("version")) != (model, _VERSION):
            settings.delete(_MODEL)
            database.delete_table(DOCUMENTS, missing_ok=True)
            database.delete_table(PASSAGES, missing_ok=True)
        documents = database.create_table(
            DOCUMENTS,
            key={"document": str},
            fields={
                "title": lutra.Stored(str),
                "language": str,
                "kind": str,
                "passages": int,
                "digest": lutra.Stored(str),
                "filled": dt.datetime,
            },
            exist_ok=True,
        )
        passages = database.create_table(
            PASSAGES,
            key={"document": str, "number": int},
            fields={
                "text": lutra.Text(),
                "vector": lutra.Vector(dimension, "cosine", embed="text", with_=model),
                "language": str,
                "kind": str,
                "title": lutra.Stored(str),
                "titles": lutra.Stored(list[str]),
                "anchor": lutra.Stored(str),
                "page": lutra.Stored(int),
                "overlap": lutra.Stored(str),
                "parts": lutra.Stored(str),
            },
            exist_ok=True,
        )
        settings.put({"name": _MODEL, "value": model, "version": _VERSION})
        return cls(database, documents, passages, model)

    def languages(self) -> list[str]:
        """Of the documents, by how many there are."""
        groups = self.documents.group_by("language", order_by=lutra.col("count").desc(), limit=50)
        return [group["language"] for group in groups if group["language"] is not None]

    def listed(self, limit: int, after: str = "") -> list[lutra.Row]:
        """Documents by name, those that come after ``after``: each its key, title, language, kind and passages."""
        columns = ("title", "language", "kind", "passages")
        # No name is between these two.
        rows = self.documents.scan(start=after + "\0", where=lutra.col("passages") > 0, columns=columns, limit=limit)
        return list(rows)

    def fill(
        self,
        sources: Sequence[Source],
        language: str = "en",
        progress: Callable[[Progress], object] = lambda progress: None,
    ) -> Filled:
        """Makes the library hold ``sources`` and no others.

        Files whose bytes are as they were are left alone; of those that have changed, only passages that have are
        embedded. A filling that is broken off goes on where it was. ``language`` is that of documents that do not say.
        Raises EmbeddingError where the model fails.
        """
        known = {row["document"]: row for row in self.documents.scan(columns=["digest"])}
        filled = Filled()
        work = self._work(sources, language, known, filled)
        done_bytes, all_bytes = 0, sum(one.size_bytes for one in work)
        for one in work:
            id_ = one.source.id
            progress(Progress(id_, done_bytes, all_bytes))
            try:
                # Read anew: all files together may be more than fits in memory.
                document = read_document(read_bytes(one.source.path), one.source.path, language)
            except UnreadableDocument as error:
                filled.problems.append((id_, str(error)))
            else:
                found = chunks_of(document.blocks)
                if id_ not in known:
                    self._begin(id_, document)
                for written in self._write(id_, document, found, filled):
                    share = int(one.size_bytes * written / len(found))
                    progress(Progress(id_, done_bytes + share, all_bytes))
                self._finish(id_, document, one.digest, len(found))
                filled.added += id_ not in known
                filled.changed += id_ in known
            done_bytes += one.size_bytes
            progress(Progress(id_, done_bytes, all_bytes))
        for id_ in sorted(known.keys() - {source.id for source in sources}):
            self._remove(id_)
            filled.removed += 1
        return filled

    def _work(self, sources: Sequence[Source], language: str, known: dict[str, Any], filled: Filled) -> list[_Work]:
        """The sources that are new or have changed."""
        work = []
        for source in sources:
            try:
                content = read_bytes(source.path)
            except UnreadableDocument as error:
                filled.problems.append((source.id, str(error)))
                continue
            made_by = f"{chunks.VERSION} {language}\n".encode()
            digest = hashlib.sha256(made_by + content).hexdigest()
            if source.id in known and known[source.id]["digest"] == digest:
                filled.unchanged += 1
            else:
                work.append(_Work(source, digest, len(content)))
        return work

    def _begin(self, id_: str, document: Document) -> None:
        """Says that there are passages of it, before there are: one that breaks off here is removed, too."""
        self.documents.put({"document": id_, "title": document.title, "passages": 0, "digest": ""})

    def _write(self, id_: str, document: Document, found: list[Chunk], filled: Filled) -> Iterator[int]:
        """Puts the passages, and after some of them gives how many are there. The table makes vectors of those that
        are given none; one whose text was there before keeps the vector that this had.
        """
        rows = self.passages.scan(id_, columns=["text", "vector"])
        there = {row["text"]: row["vector"] for row in rows if "vector" in row}
        for first in range(0, len(found), _PUT_AT_ONCE):
            batch = found[first : first + _PUT_AT_ONCE]
            self.passages.put_many(_row(id_, document, chunk, there.get(chunk.text)) for chunk in batch)
            reused = sum(chunk.text in there for chunk in batch)
            filled.passages_embedded += len(batch) - reused
            filled.passages_reused += reused
            yield first + len(batch)

    def _finish(self, id_: str, document: Document, digest: str, count: int) -> None:
        """Drops the passages that are no more, and only then says that the document is there as a whole."""
        self.passages.delete_many(row.key for row in self.passages.scan(id_, start=count, columns=[]))
        self.documents.put(
            {
                "document": id_,
                "title": document.title,
                "language": document.language,
                "kind": document.kind,
                "passages": count,
                "digest": digest,
                "filled": dt.datetime.now(dt.UTC),
            }
        )

    def _remove(self, id_: str) -> None:
        self.passages.delete_many(row.key for row in self.passages.scan(id_, columns=[]))
        self.documents.delete(id_)


def text_model(name: str) -> TextEmbedder:
    """The model of that name. Raises EmbeddingError and ParameterInvalid where there is no such model of texts."""
    opened = open_model(name)
    if not isinstance(opened, TextEmbedder):
        raise EmbeddingError(f"the model {name!r} is one of pictures")
    return opened


def _row(id_: str, document: Document, chunk: Chunk, vector: Any) -> dict[str, Any]:
    given = {} if vector is None else {"vector": vector}
    return given | {
        "document": id_,
        "number": chunk.number,
        "text": chunk.text,
        "language": document.language,
        "kind": document.kind,
        "title": document.title,
        "titles": list(chunk.titles),
        "anchor": chunk.anchor,
        "page": chunk.page,
        "overlap": chunk.overlap,
        "parts": json.dumps([[part.kind, part.text, part.continues] for part in chunk.parts], ensure_ascii=False),
    }
