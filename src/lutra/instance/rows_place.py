"""Where the rows of a data directory are: in it, or on an object store, where it remembers whose they are.

::

    DIR/kv/                 the rows, where they are in the directory
    DIR/rows/place.json     where they are, where they are elsewhere; the folder is locked by who has the directory open
    PLACE/identity          whose rows are at a place: an id, put where there was none

A directory whose rows are elsewhere can be made anew, on another machine say, and has the same rows. Whoever opens them
last is their one writer (`lutra.kv.slatedb.store`).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from lutra.instance.clusters import require_no_cluster
from lutra.kv.copied import HeldStore, copied_store, held_store
from lutra.kv.folder import make_durable_folder
from lutra.kv.json_file import read_json, write_json
from lutra.kv.lock import DirectoryLock
from lutra.kv.opening import MEMORY_BYTES_DEFAULT, open_store
from lutra.kv.store import KeyValueStore
from lutra.model.errors import Corruption, ForeignObjects, ObjectMissing, ParameterInvalid, StorageFailure
from lutra.objects.opening import open_store as open_objects
from lutra.objects.opening import require_one_winner
from lutra.objects.store import ObjectStore

if TYPE_CHECKING:  # what most directories do without is loaded where it is needed
    from lutra.kv.slatedb.reader import SlateReader

IN_DIRECTORY: Final = "kv"
ELSEWHERE: Final = Path("rows", "place.json")
IDENTITY: Final = "identity"
_FORMAT: Final = 1

Rows = str | os.PathLike[str] | None


@dataclass(frozen=True, slots=True)
class _Known:
    """What a directory remembers. ``id``: of the rows; ``is_made``: they were there once."""

    address: str
    id: str = ""
    is_made: bool = False


class RowsPlace:
    """The place of the rows of one data directory."""

    def __init__(self, data_dir: Path, rows: Rows = None) -> None:
        """``rows``: where they are to be, ``s3://bucket/prefix`` or a folder; None: where they are, or in ``data_dir``.

        Makes nothing. Raises ParameterInvalid where they are elsewhere, or can be there not at all; Corruption,
        StorageFailure.
        """
        self._data_dir = data_dir
        wanted = None if rows is None else _normal(rows)
        self._known = self._remembered()
        here = data_dir / IN_DIRECTORY
        if self._known is None and wanted is not None:
            if os.path.lexists(here / "CURRENT"):
                raise ParameterInvalid(
                    f"the rows of {data_dir} are in it, and cannot be at {wanted} as well: leave that out, or begin a "
                    "new data directory"
                )
            self._known = _Known(wanted)
        elif self._known is not None and wanted not in (None, self._known.address):
            raise ParameterInvalid(
                f"the rows of {data_dir} are at {self._known.address}, not at {wanted}: leave that out, or begin a new "
                "data directory"
            )

    def require_apart(self, objects: str) -> None:
        """Raises ParameterInvalid where rows and the objects of search indexes would be among each other."""
        if self._known is None:
            return
        rows, others = self._known.address, _normal(objects)
        if others == rows or others.startswith(rows + "/"):
            raise ParameterInvalid(
                f"rows at {rows} and objects of search indexes at {others} would be among each other: the one may be "
                "below the other's place only where rows are, as at s3://bucket/prefix/rows"
            )

    @property
    def is_elsewhere(self) -> bool:
        """Whether rows are on an object store, and not in the directory."""
        return self._known is not None

    def open(self, *, may_make: bool = True, memory_bytes: int = MEMORY_BYTES_DEFAULT) -> KeyValueStore:
        """The rows, to read and write; where they are elsewhere, they are taken from whoever has them.

        ``memory_bytes``: what they may take of it.

        Raises DirectoryInUse where another process has the data directory, ForeignObjects where others' rows are
        there, and StorageFailure, Corruption, Fenced.
        """
        if self._known is None:
            here = self._data_dir / IN_DIRECTORY
            return open_store(here, may_make=may_make, known_as=self._data_dir, memory_bytes=memory_bytes)
        from lutra.kv.slatedb.settings import SlateSettings
        from lutra.kv.slatedb.store import SlateStore

        with contextlib.ExitStack() as closing:
            lock = closing.enter_context(contextlib.closing(self._locked(may_make)))
            known = self._identified(self._known, may_make)
            store = SlateStore(
                known.address,
                settings=SlateSettings.within(memory_bytes),
                may_make=not known.is_made,
                guard=lock,
            )
            closing.pop_all()
        if not known.is_made:
            try:
                self._remember(replace(known, is_made=True))
            except BaseException:
                store.close()
                raise
        return store

    def lock(self) -> DirectoryLock:
        """Keeps others from opening the data directory. Raises DirectoryInUse, StorageFailure."""
        if self._known is not None:
            return self._locked(False)
        return DirectoryLock(self._data_dir / IN_DIRECTORY, self._data_dir)

    def copied(self) -> contextlib.AbstractContextManager[KeyValueStore]:
        """The rows as they were a moment ago, to be read at once. Raises StorageFailure, Corruption."""
        if self._known is None:
            return copied_store(self._data_dir / IN_DIRECTORY)
        return contextlib.closing(self._reader(self._known))

    def held(self) -> HeldStore | SlateReader:
        """The rows as they were a moment ago, for as long as that is wanted. Raises StorageFailure, Corruption."""
        if self._known is None:
            return held_store(self._data_dir / IN_DIRECTORY)
        return self._reader(self._known)

    def _reader(self, known: _Known) -> SlateReader:
        from lutra.kv.slatedb.reader import SlateReader

        objects = open_objects(known.address, is_read_only=True)
        self._require_same(known, _identity(objects))
        return SlateReader(known.address)

    def _locked(self, may_make: bool) -> DirectoryLock:
        folder = self._data_dir / ELSEWHERE.parent
        if may_make:
            try:
                make_durable_folder(folder)
            except OSError as error:
                raise StorageFailure(f"cannot use {folder}: {error.strerror}") from error
        return DirectoryLock(folder, self._data_dir)

    def _identified(self, known: _Known, may_make: bool) -> _Known:
        """With the id of the rows, which is made where there are none yet and none were."""
        if not known.id and may_make:
            require_no_cluster(known.address)
        objects = open_objects(known.address, probe=False)
        found = _identity(objects)
        if found is None and not known.id and may_make:
            require_one_winner(objects)
            if objects.list(""):
                raise ForeignObjects(
                    f"there are objects at {known.address}, and no rows: give rows a place of their own, as "
                    f"{known.address}/rows"
                )
            objects.put_if_absent(IDENTITY, _identity_text(secrets.token_hex(16)))
            found = _identity(objects)
        self._require_same(known, found)
        assert found is not None
        if known.id != found:
            known = replace(known, id=found)
            self._remember(known)
        return known

    def _require_same(self, known: _Known, found: str | None) -> None:
        if found is None:
            raise Corruption(
                f"{self._data_dir} has lost its rows: there are none at {known.address}. Restore them there; to begin "
                "anew, with no rows at all, begin a new data directory"
            )
        if known.id and known.id != found:
            raise ForeignObjects(
                f"the rows at {known.address} are others than those of {self._data_dir} ({found}, not {known.id}): "
                "begin a new data directory for them"
            )

    def _remembered(self) -> _Known | None:
        path = self._data_dir / ELSEWHERE
        if not path.parent.is_dir():
            return None
        try:
            stored = read_json(path)
            if stored is None:
                return None
            if stored["format"] != _FORMAT:
                raise Corruption(f"{path} has format {stored['format']!r}; this version reads {_FORMAT}")
            return _Known(str(stored["address"]), str(stored["id"]), stored["is_made"] is True)
        except (ValueError, KeyError, TypeError) as error:
            raise Corruption(f"{path} cannot be read: {error!r}") from error

    def _remember(self, known: _Known) -> None:
        write_json(self._data_dir / ELSEWHERE, {"format": _FORMAT, **asdict(known)})
        self._known = known


def _identity_text(identity: str) -> bytes:
    return json.dumps({"format": _FORMAT, "id": identity}).encode()


def _identity(objects: ObjectStore) -> str | None:
    try:
        stored: Any = json.loads(objects.get(IDENTITY))
        if stored["format"] != _FORMAT or not isinstance(stored["id"], str) or not stored["id"]:
            raise Corruption(f"{IDENTITY} of these rows is of a format that this version does not know")
    except ObjectMissing:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise Corruption(f"{IDENTITY} of these rows cannot be read: {error!r}") from error
    return str(stored["id"])


def _normal(place: str | os.PathLike[str]) -> str:
    """The same however it is said. Raises ParameterInvalid where it is none."""
    text = os.fspath(place)
    if not text:
        raise ParameterInvalid("an empty text is no place for rows: it is s3://bucket/prefix, or a folder")
    parts = urlsplit(text)
    if "://" not in text or (parts.scheme == "file" and parts.netloc in ("", "localhost")):
        return os.path.realpath(os.path.expanduser(unquote(parts.path) if "://" in text else text))
    return text.rstrip("/")
