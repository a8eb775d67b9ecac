"""The page of the Python SDK is a program that runs against a server, and what it shows is what comes out."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.pages import run_page
from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ServerProcess

PAGE = Path(__file__).parents[2] / "docs" / "sdk" / "python.md"


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ServerProcess(tmp_path / "data") as server:
        monkeypatch.setenv("LUTRA_ENDPOINT", server.endpoint)
        monkeypatch.setenv("LUTRA_ACCESS_KEY_ID", ACCESS_KEY_ID)
        monkeypatch.setenv("LUTRA_ACCESS_KEY_SECRET", ACCESS_KEY_SECRET)
        monkeypatch.setenv("LUTRA_INSTANCE", server.instance)
        assert run_page(PAGE, monkeypatch) >= 15
        assert "Traceback" not in server.log_path.read_text()
