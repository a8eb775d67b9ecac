"""The access key of a server: from the environment, else from a file that the first start makes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lutra.model.errors import LutraError

ENVIRONMENT_ID: Final = "LUTRA_ACCESS_KEY_ID"
ENVIRONMENT_SECRET: Final = "LUTRA_ACCESS_KEY_SECRET"
FILE_NAME: Final = "credentials.json"
FORMAT_VERSION: Final = 1
# Java refuses other ids; a ':' would also break the Authorization header of responses.
ID_PATTERN: Final = re.compile(r"[a-zA-Z0-9+./_-]{1,128}")
# Secrets travel nowhere; these are the characters SDKs and shells take without quoting.
SECRET_PATTERN: Final = re.compile(r"[\x21-\x7e]{1,256}")


class CredentialsError(LutraError):
    """The server's access key cannot be had. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """One access key. The secret stays out of ``repr``, and so out of logs."""

    access_key_id: str
    access_key_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LoadedCredentials:
    """``source`` says where they come from; ``is_new``: this start made them."""

    credentials: Credentials
    source: str
    is_new: bool = False


def load_credentials(data_dir: Path, environment: Mapping[str, str]) -> LoadedCredentials:
    """The server's access key, made and stored in ``data_dir`` where there is none yet. Raises CredentialsError."""
    found = credentials_in(environment)
    if found is not None:
        return LoadedCredentials(found, source="the environment")
    path = data_dir / FILE_NAME
    try:
        return LoadedCredentials(_read(path), source=str(path))
    except FileNotFoundError:
        return _create(path)


def credentials_in(environment: Mapping[str, str]) -> Credentials | None:
    """The access key that the environment names, None where it names none. Raises CredentialsError."""
    access_key_id, secret = environment.get(ENVIRONMENT_ID), environment.get(ENVIRONMENT_SECRET)
    if access_key_id is None and secret is None:
        return None
    if not access_key_id or not secret:
        raise CredentialsError(f"set both {ENVIRONMENT_ID} and {ENVIRONMENT_SECRET}, or neither")
    return _checked(access_key_id, secret, "the environment")


def _create(path: Path) -> LoadedCredentials:
    credentials = Credentials("lutra" + secrets.token_hex(8), secrets.token_urlsafe(32))
    content = {
        "format_version": FORMAT_VERSION,
        "access_key_id": credentials.access_key_id,
        "access_key_secret": credentials.access_key_secret,
    }
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        # A link fails where the name is taken: of two servers starting at once, one makes the file and both read it.
        os.link(temporary, path)
        _fsync_folder(path.parent)
    except FileExistsError:
        return LoadedCredentials(_read(path), source=str(path))
    except OSError as error:
        raise CredentialsError(f"cannot write {path}: {error.strerror}") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
    return LoadedCredentials(credentials, source=str(path), is_new=True)


def _read(path: Path) -> Credentials:
    """The key in a file. Raises FileNotFoundError, else CredentialsError."""
    try:
        # Owner and mode are those of the file that is read, whatever is put in its place meanwhile.
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(65_536)
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsError(f"cannot read {path}: {error}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise CredentialsError(
            f"{path} can be read by others (mode {stat.S_IMODE(mode):04o}): run `chmod 600 {path}`, "
            "and change the secret if somebody may have seen it"
        )
    try:
        content = json.loads(text)
        version, access_key_id, secret = (
            content["format_version"],
            content["access_key_id"],
            content["access_key_secret"],
        )
    except (ValueError, KeyError, TypeError):
        raise CredentialsError(f"{path} is not a credentials file") from None
    if version != FORMAT_VERSION:
        raise CredentialsError(f"{path} has format version {version!r}; this release reads {FORMAT_VERSION}")
    return _checked(access_key_id, secret, str(path))


def _checked(access_key_id: object, secret: object, source: str) -> Credentials:
    if not isinstance(access_key_id, str) or ID_PATTERN.fullmatch(access_key_id) is None:
        raise CredentialsError(f"the access key id in {source} must be 1 to 128 of letters, digits and + . / _ -")
    if not isinstance(secret, str) or SECRET_PATTERN.fullmatch(secret) is None:
        raise CredentialsError(f"the access key secret in {source} must be 1 to 256 printable ASCII characters")
    return Credentials(access_key_id, secret)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
