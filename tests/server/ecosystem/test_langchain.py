"""LangChain's ``TablestoreVectorStore``, as its package brings it, against a real server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.packages import Packages

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]


def test_langchain(packages: Packages, run_tests: Callable[[str], None]) -> None:
    packages.install("langchain-community==0.4.2", "tablestore==6.4.8", "pytest>=8.2")
    run_tests("langchain_store.py")
