"""Agent memory's ``KnowledgeStore`` and ``AsyncKnowledgeStore``, as their package brings them, on a real server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.packages import Packages

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]


def test_knowledge_store(packages: Packages, run_tests: Callable[[str], None]) -> None:
    packages.install("tablestore-for-agent-memory==1.1.3", "tablestore==6.4.8", "pytest>=8.2")
    run_tests("knowledge_store.py")
