"""Which files the assistant answers from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from examples.assistant.reading.reader import SUFFIXES

FILES_MAX: Final = 20_000
_ID_BYTES_MAX: Final = 1_000
"""A key column's value has at most 1,024."""


class SourceError(Exception):
    """What was given to read cannot be; the text says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file, and the name that it has among the documents."""

    id: str
    path: Path


def sources_in(paths: Sequence[Path]) -> tuple[list[Source], list[Path]]:
    """The files of the kinds that can be read, in ``paths`` and the folders among them, sorted by name; and the others.

    A document is named by its folder's name and its path below it. Hidden files, and links that lead out of a folder,
    are passed over. Raises SourceError where a path is not there, two have one name, or there are too many.
    """
    found: dict[str, Source] = {}
    others: list[Path] = []
    for path in paths:
        if not path.exists():
            raise SourceError(f"{path} is not there")
        for file in _files(path):
            if file.suffix.lower() not in SUFFIXES:
                others.append(file)
                continue
            source = Source(_id(path, file), file)
            if len(source.id.encode(errors="replace")) > _ID_BYTES_MAX:
                raise SourceError(f"the name of {file} is longer than {_ID_BYTES_MAX:,} bytes")
            if source.id in found and found[source.id].path != file:
                raise SourceError(f"{file} and {found[source.id].path} would both be called {source.id}")
            found[source.id] = source
            if len(found) > FILES_MAX:
                raise SourceError(f"there are more than {FILES_MAX:,} files in {path}")
    return [found[id_] for id_ in sorted(found)], others


def _id(root: Path, file: Path) -> str:
    name = file.name if file == root else f"{root.resolve().name}/{file.relative_to(root).as_posix()}"
    return name.encode(errors="replace").decode()


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    inside = path.resolve()
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(folder, name)
            if not name.startswith(".") and file.is_file() and file.resolve().is_relative_to(inside):
                yield file
