"""Run by the pytest of an environment that has tablestore-mcp-server; see ``test_mcp_server.py``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import anyio
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from texts import DIMENSION, OTTER, TEA, TEXTS

EMBEDDER = Path(__file__).with_name("embedder")
SOURCE = {"page": 12, "source": "一本书 a guide"}
PATIENCE_S = 60


def server(dimension: int = DIMENSION) -> StdioServerParameters:
    """It is started anew for each session, and takes all it needs from the environment."""
    environment = {
        "PYTHONPATH": f"{EMBEDDER}{os.pathsep}{EMBEDDER.parent}",
        "TABLESTORE_VECTOR_DIMENSION": str(dimension),
        "EMBEDDING_MODEL_NAME": "characters",
    }
    command = ["-m", "tablestore_mcp_server.main", "--transport", "stdio"]
    return StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ) | environment)


async def call(session: ClientSession, tool: str, **arguments: object) -> list[str]:
    answer = await session.call_tool(tool, arguments)
    assert not answer.isError, answer.content
    return [content.text for content in answer.content]


async def search(session: ClientSession, query: str, size: int) -> list[str]:
    head, *entries = await call(session, "tablestore-search", query=query, size=size)
    assert head == f"Results for the query '{query}':"
    return entries


async def store_and_search() -> None:
    async with stdio_client(server()) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        assert {tool.name for tool in (await session.list_tools()).tools} == {"tablestore-store", "tablestore-search"}
        for text in TEXTS.values():
            assert await call(session, "tablestore-store", information=text, metadata=SOURCE) == [f"Remembered: {text}"]
        with anyio.fail_after(PATIENCE_S):
            while len(await search(session, "河流 rivers", 20)) < len(TEXTS):
                await anyio.sleep(0.1)
        entry = f"<entry><content>{TEA}</content><metadata>{json.dumps(SOURCE)}</metadata></entry>"
        assert await search(session, TEA, 1) == [entry]


async def search_again() -> None:
    """Another process finds table and index there."""
    async with stdio_client(server()) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        [first, _] = await search(session, OTTER, 2)
        assert OTTER in first


def test_store_and_search() -> None:
    anyio.run(store_and_search)
    anyio.run(search_again)


def test_the_index_tells_its_dimension(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server asks DescribeSearchIndex whether the index is of the dimension that it is configured for."""
    anyio.run(search_again)
    monkeypatch.syspath_prepend(EMBEDDER)
    for name, value in (server(dimension=2 * DIMENSION).env or {}).items():
        monkeypatch.setenv(name, value)
    from tablestore_mcp_server.settings import EmbeddingProviderSettings, TablestoreSettings
    from tablestore_mcp_server.tablestore_connector import TablestoreConnector

    with pytest.raises(ValueError, match=f"dimension in schema is {DIMENSION} but configuration is {2 * DIMENSION}"):
        TablestoreConnector.from_settings(EmbeddingProviderSettings(), TablestoreSettings())
