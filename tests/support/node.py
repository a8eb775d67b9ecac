"""The official Node SDK as npm installs it, for tests that run its own programs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ServerProcess

PACKAGE = "tablestore@5.6.5"
MOCHA = "mocha@10"
"""What the SDK's own tests are run by."""
_INSTALL_TIMEOUT_S = 300
_RUN_TIMEOUT_S = 600
_OUT_OF_REACH = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT")


def installed(folder: Path, *more: str) -> Path:
    """The folder of the SDK's package, installed below ``folder`` with ``more`` packages beside it; else skips."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: the Node SDK's programs cannot run")
    command = ["npm", "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(
        [*command, PACKAGE, *more], capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S, check=False
    )
    if done.returncode != 0 and _OUT_OF_REACH.search(done.stderr):
        pytest.skip(f"npm cannot reach its registry to install {PACKAGE}")
    assert done.returncode == 0, done.stderr
    return folder / "node_modules" / "tablestore"


def environment(server: ServerProcess) -> dict[str, str]:
    """By which the SDK's samples and tests find the server and sign."""
    return os.environ | {
        "accessKeyId": ACCESS_KEY_ID,
        "secretAccessKey": ACCESS_KEY_SECRET,
        "endpoint": server.endpoint,
        "instancename": server.instance,
        "NODE_OPTIONS": "--no-deprecation",
    }


class Outcomes(NamedTuple):
    """``errors``: what each test came to, by its full title: nothing, or why it failed."""

    errors: dict[str, str]
    printed: str


def outcomes(package: Path, server: ServerProcess, file: str, results: Path) -> Outcomes:
    """What the tests in one file of the SDK's came to; ``results`` is where mocha may write.

    The package was `installed` with `MOCHA`.
    """
    mocha = package.parent / ".bin" / "mocha"
    done = subprocess.run(
        [mocha, "--exit", "--reporter", "json", "--reporter-option", f"output={results}", package / "test" / file],
        cwd=package,
        env=environment(server),
        capture_output=True,
        text=True,
        timeout=_RUN_TIMEOUT_S,
        check=False,
    )
    assert results.exists(), f"{done.stdout}\n{done.stderr}"
    report: dict[str, Any] = json.loads(results.read_text())
    assert not report["pending"]
    errors = {
        test["fullTitle"]: str(test["err"].get("message", "")) + str(test["err"].get("stack", ""))
        for test in report["tests"]
    }
    return Outcomes(errors, done.stdout)
