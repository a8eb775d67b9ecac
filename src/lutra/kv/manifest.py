"""What RocksDB's manifest says: which table files make up the store, and which logs are to be replayed.

A manifest is a log of edits, each a sequence of tags and values (RocksDB 9.8, ``db/version_edit.cc``). Of one that
this version cannot read it says so: nothing is opened on a guess.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lutra.kv.log import read_records
from lutra.model.errors import Corruption

_COMPARATOR, _LOG_NUMBER, _NEXT_FILE, _LAST_SEQUENCE, _COMPACT_CURSOR, _DELETED_FILE, _NEW_FILE = range(1, 8)
_PREVIOUS_LOG, _LEAST_LOG = 9, 10
_NEW_FILE_2, _NEW_FILE_3, _NEW_FILE_4 = 100, 102, 103
_FAMILY, _FAMILY_ADD, _FAMILY_DROP, _FAMILIES_MAX = 200, 201, 202, 203
_IN_ATOMIC_GROUP: Final = 300
_MAY_BE_PASSED_OVER: Final = 1 << 13
"""Set in tags that bear their length, so that who does not know them can go on."""

_LAST_FIELD: Final = 1
"""Of a table file's own tagged fields."""


@dataclass(slots=True)
class Manifest:
    """``files``: bytes of each table file, by number."""

    last_sequence: int = 0
    """At least that of everything in table files."""
    first_log: int = 0
    """Logs before this number are in table files, whole."""
    files: dict[int, int] = field(default_factory=dict)


def read_manifest(path: Path) -> Manifest:
    """Raises Corruption, and OSError where it cannot be read."""
    manifest = Manifest()
    records = read_records(path)
    try:
        for record in records:
            _Edit(record).apply(manifest)
    except (IndexError, ValueError) as error:
        raise Corruption(f"{path.name} has an edit that cannot be read: {error}") from error
    if not records:
        raise Corruption(f"{path.name} is empty")
    return manifest


class _Edit:
    """One record of a manifest, read from its begin to its end."""

    def __init__(self, record: bytes) -> None:
        self._record = record
        self._at = 0

    def apply(self, manifest: Manifest) -> None:
        """Raises IndexError, ValueError where it is not what such a record can be."""
        added: dict[int, int] = {}
        deleted: list[int] = []
        while self._at < len(self._record):
            tag = self._number()
            if tag in (_LOG_NUMBER, _LEAST_LOG):
                manifest.first_log = max(manifest.first_log, self._number())
            elif tag == _LAST_SEQUENCE:
                manifest.last_sequence = max(manifest.last_sequence, self._number())
            elif tag == _DELETED_FILE:
                self._number()  # level
                deleted.append(self._number())
            elif tag in (_NEW_FILE, _NEW_FILE_2, _NEW_FILE_3, _NEW_FILE_4):
                number, size_bytes = self._file(tag)
                added[number] = size_bytes
            else:
                self._pass_over(tag)
        for number in deleted:  # moved to another level, it is deleted and added by one edit
            manifest.files.pop(number, None)
        manifest.files.update(added)

    def _file(self, tag: int) -> tuple[int, int]:
        self._number()  # level
        number = self._number()
        if tag == _NEW_FILE_3:
            self._number()  # path
        size_bytes = self._number()
        self._text()  # least key
        self._text()  # greatest key
        if tag != _NEW_FILE:
            self._number()  # least sequence
            self._number()  # greatest
        while tag == _NEW_FILE_4 and self._number() != _LAST_FIELD:
            self._text()
        return number, size_bytes

    def _pass_over(self, tag: int) -> None:
        if tag in (_NEXT_FILE, _PREVIOUS_LOG, _FAMILY, _FAMILIES_MAX, _IN_ATOMIC_GROUP):
            self._number()
        elif tag == _COMPACT_CURSOR:
            self._number()
            self._text()
        elif tag in (_COMPARATOR, _FAMILY_ADD) or tag & _MAY_BE_PASSED_OVER:
            self._text()
        elif tag != _FAMILY_DROP:
            raise ValueError(f"tag {tag}")

    def _number(self) -> int:
        value = shift = 0
        while True:
            byte = self._record[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("a number is too long")

    def _text(self) -> None:
        length = self._number()
        self._at += length
        if self._at > len(self._record):
            raise ValueError("it ends early")
