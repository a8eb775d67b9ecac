"""Agent memory's stores of knowledge and of memories, sync and async, as their package brings them, on a server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.packages import Packages

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]


@pytest.mark.parametrize("program", ["knowledge_store.py", "memory_store.py"])
def test_stores(packages: Packages, run_tests: Callable[[str], None], program: str) -> None:
    packages.install("tablestore-for-agent-memory==1.1.3", "tablestore==6.4.8", "pytest>=8.2")
    run_tests(program)
