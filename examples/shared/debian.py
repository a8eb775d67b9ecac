"""Data from Debian's packages: read where it is installed, else fetched by apt, which needs no root for that.

``apt-get download`` checks what it gets against the archive's signatures.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

_DOWNLOAD_S_MAX: Final = 900
_UNPACK_S_MAX: Final = 300
_COMPLAINT_CHARS_MAX: Final = 500


class PackageUnavailable(Exception):
    """The package is neither installed nor to be had; the message says what to do."""


def package_root(
    package: str, place: str, folder: Path, suffixes: tuple[str, ...], told: Callable[[str], object]
) -> Path:
    """Where a package's files lie, as if it were ``/``: there is a folder ``place`` (relative) below it.

    Where the package is not installed, its files that end in one of ``suffixes`` are unpacked into ``folder``, once;
    ``told`` is called before it is fetched. Raises PackageUnavailable.
    """
    unpacked = folder / package
    for root in (Path("/"), unpacked):
        if (root / place).is_dir():
            return root
    for command in ("apt-get", "dpkg-deb"):
        if shutil.which(command) is None:
            raise PackageUnavailable(f"{package} is a package of Debian and Ubuntu, and there is no {command} here")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{package}.", dir=folder) as temporary:
        told(f"Fetching Debian's package {package}")
        _download(package, Path(temporary))
        archives = list(Path(temporary).glob("*.deb"))
        if len(archives) != 1:
            raise PackageUnavailable(f"apt-get download {package} gave {len(archives)} files in place of one")
        files = Path(temporary, "files")
        files.mkdir()
        _unpack(archives[0], files, suffixes)
        if not (files / place).is_dir():
            raise PackageUnavailable(f"{package} has no {place}")
        os.rename(files, unpacked)  # whole, or not there
    return unpacked


def _download(package: str, folder: Path) -> None:
    command = ["apt-get", "--quiet", "download", package]
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_DOWNLOAD_S_MAX
        )
    except subprocess.TimeoutExpired:
        raise PackageUnavailable(f"apt-get download {package} took longer than {_DOWNLOAD_S_MAX} s") from None
    if done.returncode != 0:
        raise PackageUnavailable(
            f"apt-get download {package} failed: {done.stderr.strip()[-_COMPLAINT_CHARS_MAX:]}\n"
            f"`sudo apt-get update`, or `sudo apt-get install {package}`, may help"
        )


def _unpack(archive: Path, folder: Path, suffixes: tuple[str, ...]) -> None:
    """Files of the wanted kinds, and none outside ``folder``."""
    command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as packer:
        assert packer.stdout is not None
        with tarfile.open(fileobj=packer.stdout, mode="r|") as members:
            for member in members:
                if member.isfile() and member.name.endswith(suffixes):
                    members.extract(member, folder, filter="data")
        if packer.wait(_UNPACK_S_MAX) != 0:
            raise PackageUnavailable(f"dpkg-deb cannot unpack {archive.name}")
