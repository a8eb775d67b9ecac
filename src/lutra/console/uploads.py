"""Files that people send to the console, in a folder of the data directory, until they are imported.

::

    DATA/uploads/ID/            a folder for each; ID is 32 hexadecimal digits
        upload.json             says that it is ours, and what the file is called
        NAME                    the file, called as it was where it came from
        rejected.jsonl          rows of it that were not imported
        imports/                how far its import is (`lutra.transfer.checkpoint`)

A server begins without any: what one before it left is removed. Only what is known above is removed, and a folder only
once nothing else is in it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import secrets
import threading
import time
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import IO, Any, Final

from lutra.kv.folder import make_durable_folder
from lutra.model.errors import ObjectNotExist, OperationConflict, ParameterInvalid, ServerBusy, StorageFailure
from lutra.transfer import checkpoint

FOLDER: Final = "uploads"
REJECTED: Final = "rejected.jsonl"
_MARKER: Final = "upload.json"
_FORMAT: Final = 1
_FOLDER_MODE: Final = 0o700
_ID: Final = re.compile(r"[0-9a-f]{32}")
_CHECKPOINT: Final = re.compile(r"[0-9a-f]{32}\.(?:json|partial)")
_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|\s]+')
_NAME_BYTES_MAX: Final = 120
_ENDING_BYTES_MAX: Final = 20
_COUNT_MAX: Final = 8
_IDLE_S: Final = 3_600.0

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Upload:
    """One file. ``users``: so many use it now, so that it stays. ``job_id``: of what imports it, or has."""

    id: str
    folder: Path
    name: str
    instance: str
    size_bytes: int = 0
    is_whole: bool = False
    is_spent: bool = False
    """Whether it was imported: there are but its rejected rows, which a job tells of."""
    users: int = 0
    job_id: str = ""
    used_s: float = dataclass_field(default_factory=time.monotonic)

    @property
    def path(self) -> Path:
        return self.folder / self.name

    @property
    def rejected_path(self) -> Path:
        return self.folder / REJECTED

    def told(self, message: str) -> str:
        """``message`` of an error as people know the file: without the place where the server has it."""
        return message.replace(f"{self.folder}/", "")


class Uploads:
    """The files of one server. Thread-safe."""

    def __init__(self, data_dir: Path, count_max: int = _COUNT_MAX, idle_s: float = _IDLE_S) -> None:
        """``count_max``: at one time. ``idle_s``: one that nobody used for so long is removed."""
        self._folder = data_dir / FOLDER
        self._count_max = count_max
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._uploads: dict[str, Upload] = {}
        self._timer: threading.Timer | None = None

    def begin(self, instance: str, name: str) -> Upload:
        """A new file, still empty, for an import into ``instance``. Raises ServerBusy, StorageFailure."""
        with self._lock:
            self._drop_idle()
            if sum(not one.is_spent for one in self._uploads.values()) >= self._count_max:
                raise ServerBusy(f"{self._count_max} files wait to be imported already: import or discard one of them.")
            upload_id = secrets.token_hex(16)
            upload = Upload(upload_id, self._folder / upload_id, safe_name(name), instance, users=1)
            marker = {"format": _FORMAT, "id": upload.id, "name": upload.name}
            try:
                make_durable_folder(self._folder, _FOLDER_MODE)
                upload.folder.mkdir(_FOLDER_MODE)
                (upload.folder / _MARKER).write_text(json.dumps(marker), encoding="utf-8")
            except OSError as error:
                raise StorageFailure(f"cannot write to {self._folder}: {error.strerror}") from error
            self._uploads[upload.id] = upload
            return upload

    def get(self, upload_id: str, instance: str) -> Upload:
        """A file that has come as a whole, which is now used. Raises ObjectNotExist."""
        with self._lock:
            upload = self._uploads.get(upload_id)
            if upload is None or not upload.is_whole or upload.instance != instance:
                raise ObjectNotExist("There is no such file any more: send it again.")
            upload.used_s = time.monotonic()
            return upload

    def hold(self, upload: Upload) -> None:
        """Keeps a file for one who imports it, until it is let go. Raises ObjectNotExist, and OperationConflict where
        another does."""
        with self._lock:
            if self._uploads.get(upload.id) is not upload or upload.is_spent:
                raise ObjectNotExist("There is no such file any more: send it again.")
            if upload.users:
                raise OperationConflict("This file is being imported already.")
            upload.users += 1

    def release(self, upload: Upload) -> None:
        """Lets go what was begun, or held."""
        with self._lock:
            upload.users -= 1
            upload.used_s = time.monotonic()
            self._look_later()

    def discard(self, upload: Upload) -> None:
        """Removes a file that nobody imports. Raises OperationConflict where somebody does."""
        self.hold(upload)
        self.drop(upload)

    def drop(self, upload: Upload) -> None:
        """Removes a file, whoever uses it."""
        with self._lock:
            self._uploads.pop(upload.id, None)
            _remove(upload.folder)

    def spend(self, upload: Upload) -> None:
        """Removes the file itself, which nobody needs once it is imported; all of it where no row was rejected."""
        with self._lock:
            upload.is_spent = True
            if upload.rejected_path.exists():
                with contextlib.suppress(OSError):
                    upload.path.unlink(missing_ok=True)
                return
        self.drop(upload)

    def close(self) -> None:
        """Removes them all."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
        for upload in list(self._uploads.values()):
            self.drop(upload)
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def _drop_idle(self) -> None:
        now_s = time.monotonic()
        for upload in [one for one in self._uploads.values() if not one.users and not one.is_spent]:
            if now_s - upload.used_s >= self._idle_s:
                del self._uploads[upload.id]
                _remove(upload.folder)

    def _look_later(self) -> None:
        """Has those removed that nobody comes back for."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(self._idle_s, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def _expire(self) -> None:
        with self._lock:
            self._drop_idle()
            if any(not one.is_spent for one in self._uploads.values()):
                self._look_later()


class UploadFile:
    """Takes a file as it comes. A context manager: where the block raises, the file is removed."""

    def __init__(self, uploads: Uploads, upload: Upload) -> None:
        self._uploads = uploads
        self._upload = upload
        self._file: IO[bytes] | None = None

    def __enter__(self) -> UploadFile:
        return self

    def write(self, content: bytes) -> None:
        """Raises StorageFailure."""
        try:
            if self._file is None:
                self._file = self._upload.path.open("xb")
            self._file.write(content)
        except OSError as error:
            raise StorageFailure(f"cannot write {self._upload.path}: {error.strerror}") from error
        self._upload.size_bytes += len(content)

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        with contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()
        if kind is not None:
            self._uploads.drop(self._upload)
            return
        if not self._upload.size_bytes:
            self._uploads.drop(self._upload)
            raise ParameterInvalid("The file is empty.")
        self._upload.is_whole = True
        self._uploads.release(self._upload)


def sweep_uploads(data_dir: Path) -> None:
    """Removes what servers before this left; for who has the data directory, before it takes files. What cannot be
    removed stays, and is logged."""
    uploads = data_dir / FOLDER
    for folder in sorted(uploads.iterdir()) if uploads.is_dir() else ():
        if _ID.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
            _remove(folder)


def safe_name(name: str) -> str:
    """``name`` as a file of ours can be called: its last part, without what file systems or shells stumble over."""
    last = re.split(r"[/\\]", name.encode(errors="replace").decode())[-1]
    stem, dot, ending = _UNSAFE.sub("_", last).strip("._").rpartition(".")
    if not dot or len(ending.encode()) > _ENDING_BYTES_MAX:
        stem, dot, ending = f"{stem}{dot}{ending}", "", ""
    while len(f"{stem}{dot}{ending}".encode()) > _NAME_BYTES_MAX:
        stem = stem[:-1]
    plain = f"{stem}{dot}{ending}".strip("._") or "file"
    return f"file_{plain}" if plain in (_MARKER, REJECTED, checkpoint.FOLDER) else plain


def _remove(folder: Path) -> None:
    """What is known to be ours; the marker last, as it tells what the file is called."""
    try:
        name = _marked_name(folder)
        if name is not None:
            imports = folder / checkpoint.FOLDER
            for entry in list(imports.iterdir()) if imports.is_dir() else ():
                if _CHECKPOINT.fullmatch(entry.name):
                    entry.unlink(missing_ok=True)
            if imports.is_dir():
                imports.rmdir()
            for known in (name, REJECTED, _MARKER):
                (folder / known).unlink(missing_ok=True)
        elif (folder / _MARKER).is_file() and not (folder / _MARKER).stat().st_size:
            (folder / _MARKER).unlink()  # it was cut short while it began
        folder.rmdir()
    except FileNotFoundError:
        pass
    except OSError as error:
        logger.warning("what is left of an upload stays in %s: %s", folder, error)


def _marked_name(folder: Path) -> str | None:
    """What the file is called, of a folder that is an upload's."""
    try:
        marker = json.loads((folder / _MARKER).read_text(encoding="utf-8"))
        if marker["format"] == _FORMAT and marker["id"] == folder.name and marker["name"] == safe_name(marker["name"]):
            return str(marker["name"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None
