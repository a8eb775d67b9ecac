"""What fails inside is logged with the request's id, and told by its kind; paths are told to nobody."""

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
from lutra.model.deadline import NEVER, Deadline, current_deadline
from lutra.model.errors import Corruption, Fenced, IndexDamaged, PartitionUnopened, StorageFailure
from lutra.server.auth.gate import Admission
from lutra.server.http.responses import Responder, Response
from lutra.server.http.service import Service
from lutra.server.lanes.reply import Reply
from lutra.server.lanes.searches import Searches
from lutra.server.observe.engine_metrics import engine_collectors
from lutra.server.observe.metrics import Metrics
from lutra.server.protocol.operations import OPERATIONS, Lane, Operation
from lutra.server.wire import error_pb2

EMPTY = Admission("test", b"hush", base64.b64encode(hashlib.md5().digest()), False, None)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    engine = Engine.open(tmp_path / "data")
    engine.create_instance("test")
    clock = SystemClock()
    yield Service(engine, Responder(clock, "me"), Metrics(engine_collectors(engine, clock)), Searches(8))
    engine.close()


INTERNAL = "OTSInternalServerError"
UNKNOWN = "Internal server error."
DISK = "The server cannot use its disk or its store of objects"
DAMAGED = "Stored data is damaged: the server's log says where, `lutra fsck` tells all that is."


@pytest.mark.parametrize(
    ("error", "status", "code", "message"),
    [
        (RuntimeError("of row /home/someone"), 500, INTERNAL, UNKNOWN),
        (KeyError("/home/someone"), 500, INTERNAL, UNKNOWN),
        (RecursionError("/home/someone"), 500, INTERNAL, UNKNOWN),
        (MemoryError("/home/someone"), 500, INTERNAL, UNKNOWN),
        (StorageFailure("cannot write /home/someone"), 500, INTERNAL, f"{DISK}. Its log says more."),
        (
            StorageFailure("cannot commit: the store in /home/someone says: IO error: Input/output error: While"),
            500,
            INTERNAL,
            f"{DISK}: Input/output error. Its log says more.",
        ),
        (
            StorageFailure("cannot commit: the store in /home/someone says: IO error: No space left on device: While"),
            403,
            "OTSQuotaExhausted",
            "The server's disk is full (No space left on device): it writes nothing more until there is room, and "
            "where that does not help, until it is started again.",
        ),
        (Corruption("in /home/someone"), 500, INTERNAL, DAMAGED),
        (
            Fenced("/home/someone: another writer has taken this number."),
            500,
            INTERNAL,
            "The search index was taken over by another process that uses the same store of objects.",
        ),
        (IndexDamaged("search index [x] of /home/someone"), 500, INTERNAL, "search index [x] of /home/someone"),
        (PartitionUnopened("partition 1 (/home/someone)"), 500, INTERNAL, "partition 1 (/home/someone)"),
        (
            PartitionUnopened("1: No space left on device, /home/someone"),
            403,
            "OTSQuotaExhausted",
            "1: No space left on device, /home/someone",
        ),
    ],
)
def test_failures_are_logged_and_told_by_their_kind(
    service: Service, caplog: pytest.LogCaptureFixture, error: Exception, status: int, code: str, message: str
) -> None:
    def fail(instance: Instance, body: bytes) -> Reply:
        raise type(error)(*error.args)  # the parameter lives on, and would keep this frame with all that it holds

    with caplog.at_level(logging.ERROR):
        response = service.perform(Operation("GetRow", Lane.POINT, fail), EMPTY, b"", "id-1", Deadline(600))
    assert isinstance(response, Response)
    told = error_pb2.Error.FromString(response.body)
    assert (response.status, response.code, told.code, told.message) == (status, code, code, message)
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
    assert current_deadline() is NEVER
    response = service.perform(operation, EMPTY, b"", "id-2", Deadline(600))
    assert isinstance(response, Response)
    assert (response.status, begun) == (200, [b""])


def test_a_closed_engine_is_a_failure(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    service._engine.close()
    with caplog.at_level(logging.ERROR):
        response = service.perform(OPERATIONS["ListTable"], EMPTY, b"", "id-2", Deadline(600))
    assert response.status == 500
    assert "closed" in caplog.text
