"""Makes a Debian package of the wheel in dist/: ``python -m tools.debian``, or ``make deb`` after ``make wheel``.

All that Lutra needs lies in /opt/lutra, as a virtual environment over Debian's own Python. Nothing is compiled here,
and nothing of it runs while the package is made.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
DIST: Final = ROOT / "dist"
SOURCE: Final = ROOT / "packaging"
PYTHON: Final = "3.11"
"""Of Debian 12; ``python -m tools.debian 3.13`` makes the package of Debian 13."""
_GLIBC_MINOR_MAX: Final = {"3.11": 36, "3.13": 41}
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_SCRIPTS: Final = ("postinst", "prerm", "postrm")
_LAUNCHER: Final = """#!/opt/lutra/bin/python
import sys

from lutra.cli.main import main

sys.exit(main())
"""


def main(python: str = PYTHON) -> Path:
    """Puts the package into dist/, and tells where."""
    if python not in _GLIBC_MINOR_MAX:
        sys.exit(f"deb: no Debian is known whose Python is {python}: one of {', '.join(_GLIBC_MINOR_MAX)}")
    wheels = sorted(DIST.glob(f"lutra-*-cp{python.replace('.', '')}-*manylinux*.whl"), key=os.path.getmtime)
    if not wheels:
        sys.exit(f"deb: there is no wheel for Python {python} in dist/: run `make wheel` first")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        root.mkdir(mode=0o755)
        fill(root, wheels[-1], python)
        version = wheels[-1].name.split("-")[1]
        describe(root, version, python, wheels[-1].name)
        path = DIST / f"lutra_{version}_{_ARCHITECTURES[platform.machine()]}.deb"
        # Owned by root, whoever makes it.
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(root), str(path)], check=True)
    return path


def fill(root: Path, wheel: Path, python: str) -> None:
    """Puts what is installed below ``root``."""
    home = root / "opt" / "lutra"
    _installed(wheel, home / "lib" / f"python{python}" / "site-packages", python)
    _put(home / "pyvenv.cfg", f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {python}\n")
    (home / "bin").mkdir()
    (home / "bin" / "python").symlink_to(f"/usr/bin/python{python}")
    _put(home / "bin" / "lutra", _LAUNCHER, 0o755)
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "usr" / "bin" / "lutra").symlink_to("/opt/lutra/bin/lutra")
    _copy("systemd/lutra.service", root / "lib" / "systemd" / "system" / "lutra.service")
    _copy("systemd/lutra.env", root / "etc" / "lutra" / "lutra.env", 0o600)
    documents = root / "usr" / "share" / "doc" / "lutra"
    _copy("debian/copyright", documents / "copyright")
    for name in ("README.md", "CHANGELOG.md", "THIRD-PARTY-LICENSES"):
        _copy(f"../{name}", documents / name)


def describe(root: Path, version: str, python: str, wheel_name: str) -> None:
    """Puts what dpkg reads into ``root``/DEBIAN."""
    about = root / "DEBIAN"
    about.mkdir(mode=0o755)
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink()]
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}" for path in files]
    _put(about / "md5sums", "\n".join(sums) + "\n")
    control = (SOURCE / "debian" / "control").read_text()
    said = control.format(
        version=version,
        architecture=_ARCHITECTURES[platform.machine()],
        installed_kib=sum(path.stat().st_size for path in files) // 1024,
        python=python,
        glibc=f"2.{glibc_minor(wheel_name)}",
    )
    _put(about / "control", said)
    _copy("debian/conffiles", about / "conffiles")
    for name in _SCRIPTS:
        _copy(f"debian/{name}", about / name, 0o755)


def glibc_minor(wheel_name: str) -> int:
    """The least glibc that a wheel says it needs: 34 of ``…-manylinux_2_34_x86_64.whl``."""
    tags = wheel_name.removesuffix(".whl").rsplit("-", 1)[1].split(".")
    return min(int(tag.split("_")[2]) for tag in tags if tag.startswith("manylinux_2_"))


def _installed(wheel: Path, folder: Path, python: str) -> None:
    """The wheel and what it needs, wheels all, as that Python on that Debian would take them."""
    machine = platform.machine()
    names = [f"manylinux_2_{minor}_{machine}" for minor in range(_GLIBC_MINOR_MAX[python], 4, -1)]
    platforms = [f"--platform={name}" for name in (*names, f"manylinux2014_{machine}", f"manylinux1_{machine}")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--only-binary=:all:"]
    command += [f"--python-version={python}", "--implementation=cp", *platforms, f"--target={folder}", str(wheel)]
    subprocess.run(command, check=True)
    shutil.rmtree(folder / "bin")  # scripts that name this machine's Python


def _put(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _copy(name: str, path: Path, mode: int = 0o644) -> None:
    _put(path, (SOURCE / name).read_text(), mode)


if __name__ == "__main__":
    os.umask(0o022)
    print(f"deb: {main(*sys.argv[1:2]).relative_to(ROOT)}")
