"""What fails inside is logged with the request's id, and told to nobody."""

from __future__ import annotations

import base64
import hashlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lutra.instance.engine import Engine
from lutra.instance.instance import Instance
from lutra.model.clock import SystemClock
from lutra.model.deadline import Deadline, current_deadline
from lutra.model.errors import Corruption, StorageFailure
from lutra.server.gate import Admission
from lutra.server.metrics import Metrics
from lutra.server.operations import OPERATIONS, Lane, Operation
from lutra.server.reply import Reply
from lutra.server.responses import Responder, Response
from lutra.server.searches import Searches
from lutra.server.service import Service
from lutra.server.wire import error_pb2

EMPTY = Admission("test", b"hush", base64.b64encode(hashlib.md5().digest()), False, None)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    engine = Engine.open(tmp_path / "data")
    engine.create_instance("test")
    clock = SystemClock()
    yield Service(engine, Responder(clock, "me"), Metrics(engine, clock), Searches(8))
    engine.close()


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("of row /home/someone"),
        StorageFailure("cannot write /home/someone"),
        Corruption("in /home/someone"),
        KeyError("/home/someone"),
        RecursionError("/home/someone"),
        MemoryError("/home/someone"),
    ],
)
def test_failures_are_logged_not_told(service: Service, caplog: pytest.LogCaptureFixture, error: Exception) -> None:
    def fail(instance: Instance, body: bytes) -> Reply:
        raise type(error)(*error.args)  # the parameter lives on, and would keep this frame with all that it holds

    with caplog.at_level(logging.ERROR):
        response = service.perform(Operation("GetRow", Lane.POINT, fail), EMPTY, b"", "id-1")
    told = error_pb2.Error.FromString(response.body)
    assert (response.status, told.code, told.message) == (500, "OTSInternalServerError", "Internal server error.")
    assert "id-1" in caplog.text
    assert "/home/someone" in caplog.text
    assert "hush" not in caplog.text


def test_what_waited_too_long_for_a_thread_is_not_begun(service: Service) -> None:
    begun: list[bytes] = []

    def handle(instance: Instance, body: bytes) -> Reply:
        begun.append(body)
        current_deadline().check()
        return Reply(b"")

    operation = Operation("GetRow", Lane.POINT, handle)
    late = Deadline(1, time.monotonic() - 5)
    response = service.perform(operation, EMPTY, b"", "id-1", late)
    assert isinstance(response, Response)
    assert (response.status, response.code, begun) == (408, "OTSRequestTimeout", [])
    # The thread works for the next request now.
    response = service.perform(operation, EMPTY, b"", "id-2", Deadline(600))
    assert isinstance(response, Response)
    assert (response.status, begun) == (200, [b""])


def test_a_closed_engine_is_a_failure(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    service._engine.close()
    with caplog.at_level(logging.ERROR):
        response = service.perform(OPERATIONS["ListTable"], EMPTY, b"", "id-2")
    assert response.status == 500
    assert "closed" in caplog.text
