"""The official Go SDK as Go's own tool installs it, and its own tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

SDK = "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
SDK_VERSION = "v4.1.3+incompatible"
_INSTALL_TIMEOUT_S = 600
_OUT_OF_REACH = re.compile(r"dial tcp|no such host|connection refused|i/o timeout|network is unreachable|TLS handshake")


def installed(folder: Path) -> Path:
    """``folder`` as a Go module that has the SDK and what its tests need; else skips."""
    if shutil.which("go") is None:
        pytest.skip("go is not installed: the Go SDK cannot run")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "go.mod").write_text("module lutra/tests\n\ngo 1.21\n")
    done = _go(folder, {}, _INSTALL_TIMEOUT_S, "get", "-t", f"{SDK}@{SDK_VERSION}")
    if done.returncode != 0 and _OUT_OF_REACH.search(done.stderr):
        pytest.skip(f"Go cannot reach its module proxy to install the Go SDK {SDK_VERSION}")
    assert done.returncode == 0, done.stderr
    return folder


def run_suite(folder: Path, environment: Mapping[str, str], timeout_s: float) -> dict[str, str]:
    """The SDK's own tests, as they are: by the name of each what became of it (PASS, FAIL, PANIC, SKIP, MISS)."""
    done = _go(folder, environment, timeout_s, "test", "-count=1", "-v", SDK, "-check.v")
    outcomes = re.findall(r"^(PASS|FAIL|PANIC|SKIP|MISS): \S+ \w+Suite\.(\w+)", done.stdout, flags=re.MULTILINE)
    assert outcomes, f"{done.stdout}\n{done.stderr}"
    failed = [name for outcome, name in outcomes if outcome != "PASS"]
    assert (done.returncode == 0) is not bool(failed), f"{done.stdout}\n{done.stderr}"
    return {name: outcome for outcome, name in outcomes}


def run(folder: Path, source: str, *arguments: str, timeout_s: float) -> str:
    """What a program, one file of source, prints. Fails where it fails."""
    (folder / "main.go").write_text(source)
    built = _go(folder, {}, _INSTALL_TIMEOUT_S, "build", "-o", "program", "main.go")
    assert built.returncode == 0, built.stderr
    done = subprocess.run(
        [folder / "program", *arguments], capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def _go(
    folder: Path, environment: Mapping[str, str], timeout_s: float, *arguments: str
) -> subprocess.CompletedProcess[str]:
    whole = {**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", **environment}
    return subprocess.run(
        ["go", *arguments], cwd=folder, env=whole, capture_output=True, text=True, timeout=timeout_s, check=False
    )
