"""Methods of a node over real HTTP, in this process: for tests of what asks and what answers."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from lutra.cluster.methods import Methods
from lutra.server.http.body import ClientDisconnect
from lutra.server.http.internal import InternalEndpoint
from lutra.server.http.server import endpoint_of


@contextmanager
def peer_server(methods: Methods, port: int = 0) -> Iterator[str]:
    """The address at which ``methods`` are answered."""
    endpoint: InternalEndpoint | None = None

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        nonlocal endpoint
        if endpoint is None:
            endpoint = InternalEndpoint(methods)
        try:
            response = await endpoint(scope, receive)
        except ClientDisconnect:
            return
        await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
        await send({"type": "http.response.body", "body": response.body})

    config = uvicorn.Config(application, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", port))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
    thread.start()
    try:
        yield endpoint_of(listener)
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        if endpoint is not None:
            endpoint.close()
