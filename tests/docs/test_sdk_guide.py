"""The pages of the SDK guide are programs that run against a server, and what they show is what they print."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import golang, java, node
from support.sdk_pages import assert_prints, go_package, java_class, program
from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RUN_TIMEOUT_S = 300


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path / "data") as process:
        monkeypatch.setenv("LUTRA_ENDPOINT", process.endpoint)
        monkeypatch.setenv("LUTRA_ACCESS_KEY_ID", ACCESS_KEY_ID)
        monkeypatch.setenv("LUTRA_ACCESS_KEY_SECRET", ACCESS_KEY_SECRET)
        monkeypatch.setenv("LUTRA_INSTANCE", process.instance)
        yield process
    assert "Traceback" not in process.log_path.read_text()


@pytest.mark.usefixtures("server")
def test_java(tmp_path: Path) -> None:
    archives = java.installed(tmp_path / "java")
    text = program("java", "java")
    source = tmp_path / "Guide.java"
    source.write_text(java_class(text))
    assert_prints(text, java.run(archives, source, timeout_s=RUN_TIMEOUT_S))


@pytest.mark.usefixtures("server")
def test_go(tmp_path: Path) -> None:
    module = golang.installed(tmp_path / "go")
    text = program("go", "go")
    assert_prints(text, golang.run(module, go_package(text), timeout_s=RUN_TIMEOUT_S))


@pytest.mark.usefixtures("server")
def test_node(tmp_path: Path) -> None:
    node.installed(tmp_path / "node")
    text = program("node", "js")
    source = tmp_path / "node" / "guide.mjs"
    source.write_text(text)
    environment = os.environ | {"NODE_OPTIONS": "--no-deprecation"}
    done = subprocess.run(
        ["node", source], env=environment, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert_prints(text, done.stdout)
