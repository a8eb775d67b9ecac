"""The public surface is ``lutra.__all__``, and every name in it says that it is from there."""

import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import lutra

PROJECT = Path(__file__).parent.parent / "pyproject.toml"


def test_every_public_name_is_there_sorted_and_documented() -> None:
    assert lutra.__all__ == sorted(lutra.__all__)
    for name in lutra.__all__:
        assert hasattr(lutra, name), name
        value = getattr(lutra, name)
        is_error = isinstance(value, type) and issubclass(value, lutra.LutraError)  # told of in lutra.model.errors
        assert value.__doc__ or is_error, name


def test_nothing_else_looks_public() -> None:
    # In a fresh process: here, tests have imported rooms, which then hang below the package.
    program = "import lutra; print(*sorted(n for n in vars(lutra) if not n.startswith('_')))"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert set(finished.stdout.split()) <= {*lutra.__all__, "TYPE_CHECKING", "Final", "annotations"}


def test_importing_lutra_is_light() -> None:
    program = "import lutra.model.errors, sys; print(*sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert not {"numpy", "rocksdict", "lutra.instance"} & set(finished.stdout.split())


def test_rows_in_a_directory_need_nothing_of_slatedb(tmp_path: Path) -> None:
    """Neither to write nor to read them."""
    program = (
        "import lutra, sys\n"
        "lutra.connect(sys.argv[1]).close(); lutra.connect(sys.argv[1], read_only=True).close()\n"
        "print(*sys.modules)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "data")]
    finished = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    loaded = set(finished.stdout.split())
    assert "lutra.kv.rocksdb" in loaded
    assert not [name for name in loaded if "slatedb" in name]


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = lutra.no_such_name


def test_the_version_is_the_projects() -> None:
    assert "version" in tomllib.loads(PROJECT.read_text())["project"]["dynamic"]
    assert lutra.__version__ == importlib.metadata.version("lutra")
