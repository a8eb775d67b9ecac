"""tablestore-mcp-server, as its package brings it, asked by a client of the Model Context Protocol.

Its embedding models, which it would download, are stood in for by ``programs/embedder``; the packages that bring them
are not installed.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.packages import Packages

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200)]


def test_mcp_server(packages: Packages, run_tests: Callable[[str], None]) -> None:
    packages.install("tablestore-mcp-server==0.1.3", dependencies=False)
    packages.install(
        "llama-index-vector-stores-tablestore==0.5.0",
        "tablestore==6.4.8",
        "mcp[cli]>=1.4.1,<2",  # it imports mcp.server.fastmcp, which 2 has no more
        "pydantic-settings>=2.8.1",
        "pytest>=8.2",
    )
    run_tests("mcp_tools.py")
