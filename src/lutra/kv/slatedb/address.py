"""Where a SlateDB database is: below which root of an object store, and under which path.

A clone names its parent by that path. So the root is the bucket, or the folder that the database's own folder is in:
databases beside each other can be cloned, and a folder that holds them can be moved as a whole.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from lutra.kernels.s3_credentials import require_credentials
from lutra.kv.slatedb.library import library
from lutra.model.errors import ParameterInvalid

_ENDPOINT_VARIABLES: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_PART: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
_FORM: Final = "s3://bucket/prefix, file:///folder, or a folder's path"


@dataclass(frozen=True, slots=True)
class SlateAddress:
    """The place of one database. ``bucket`` or ``folder`` is None; ``path`` is below either."""

    bucket: str | None
    folder: Path | None
    path: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.path}" if self.folder is None else str(self.folder / self.path)

    @classmethod
    def of(cls, address: str | os.PathLike[str]) -> SlateAddress:
        """Raises ParameterInvalid where there can be no database, or no credentials for S3 are set."""
        text = os.fspath(address)
        if "://" not in text:
            return cls._in_folder(Path(text), text)
        parts = urlsplit(text)
        if parts.scheme == "file" and parts.netloc in ("", "localhost") and not parts.query and not parts.fragment:
            return cls._in_folder(Path(unquote(parts.path)), text)
        path = parts.path.strip("/")
        if parts.scheme != "s3" or not _BUCKET.fullmatch(parts.netloc) or parts.query or parts.fragment:
            raise ParameterInvalid(f"{text!r} is no place for rows: it is {_FORM}")
        if len(path) > 512 or not all(map(_PART.fullmatch, path.split("/"))):
            raise ParameterInvalid(
                f"{text!r} is no place for rows: below the bucket comes a prefix, whose parts have letters, digits, "
                "'.', '_' and '-'"
            )
        require_credentials(text)
        return cls(parts.netloc, None, path)

    @classmethod
    def _in_folder(cls, folder: Path, text: str) -> SlateAddress:
        folder = Path(os.path.abspath(folder.expanduser()))
        if not text or not _PART.fullmatch(folder.name):
            raise ParameterInvalid(
                f"{text!r} is no folder for rows: its name has to have letters, digits, '.', '_' and '-' only"
            )
        return cls(None, folder.parent, folder.name)

    @property
    def local_folder(self) -> Path | None:
        """Of the database's own files, where it is on this machine."""
        return None if self.folder is None else self.folder / self.path

    def is_beside(self, other: SlateAddress) -> bool:
        """Whether both are below the same root."""
        return (self.bucket, self.folder) == (other.bucket, other.folder)

    def object_store(self) -> Any:
        """The bindings' object store at the root. A folder has to be there. Raises ParameterInvalid."""
        bindings = library()
        kinds = bindings.ObjectStoreType
        builder = bindings.ObjectStoreBuilder
        try:
            if self.folder is not None:
                made = builder(kinds.LOCAL)
                made.with_config("local_path", str(self.folder))
                return made.build()
            made = builder.from_env(kinds.S3)
            made.with_config("bucket", self.bucket)
            endpoint = next((os.environ[name] for name in _ENDPOINT_VARIABLES if os.environ.get(name)), None)
            if endpoint is not None:
                made.with_config("endpoint", endpoint)
                made.with_config("allow_http", "true" if endpoint.startswith("http://") else "false")
            made.with_config("connect_timeout", "5 seconds")
            made.with_config("timeout", "30 seconds")
            return made.build()
        except bindings.Error as error:
            raise ParameterInvalid(f"{self} cannot be used: {error.message}") from error
