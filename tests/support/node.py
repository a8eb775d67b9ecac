"""The official Node SDK as npm installs it, for tests that run its own programs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ServerProcess

PACKAGE = "tablestore@5.6.5"
_INSTALL_TIMEOUT_S = 300
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
