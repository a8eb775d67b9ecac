"""Packages from their registry in a virtual environment of their own, and programs that run there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

_INSTALL_TIMEOUT_S = 900
_OUT_OF_REACH = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeoutError|ReadTimeoutError|ConnectionResetError|ProxyError"
    r"|Network is unreachable|Connection refused"
)


class Packages:
    """Installed in ``folder``; ``python`` runs with them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.python = folder / "bin" / "python"

    def install(self, *requirements: str, dependencies: bool = True) -> None:
        """Skips the test where the registry cannot be reached."""
        if not self.python.exists():
            subprocess.run([sys.executable, "-m", "venv", self._folder], check=True, timeout=_INSTALL_TIMEOUT_S)
        command = [self.python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *requirements]
        if not dependencies:
            command.append("--no-deps")
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S, check=False)
        if done.returncode and _OUT_OF_REACH.search(done.stderr):
            pytest.skip(f"the registry cannot be reached to install {', '.join(requirements)}")
        assert done.returncode == 0, done.stderr

    def run_tests(self, program: Path, environment: Mapping[str, str], timeout_s: float) -> None:
        """Runs a file of tests by the environment's own pytest; fails with what it printed where one failed.

        Nothing of this project's configuration or fixtures is seen there but what lies beside the program.
        """
        command: Sequence[str | Path] = (
            *(self.python, "-m", "pytest", "-c", os.devnull, "--rootdir", program.parent),
            *("--confcutdir", program.parent, "-p", "no:cacheprovider", "-q", "--tb=short", program),
        )
        # PYTHONPATH: so that nothing of this interpreter's is found there.
        whole = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | dict(environment)
        done = subprocess.run(command, env=whole, capture_output=True, text=True, timeout=timeout_s, check=False)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
