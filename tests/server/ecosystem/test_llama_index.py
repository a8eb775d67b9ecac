"""LlamaIndex's ``TablestoreVectorStore``, as its package brings it, against a real server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.packages import Packages

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]


def test_llama_index(packages: Packages, run_tests: Callable[[str], None]) -> None:
    packages.install("llama-index-vector-stores-tablestore==0.5.0", "tablestore==6.4.8", "pytest>=8.2")
    run_tests("llama_index_store.py")
