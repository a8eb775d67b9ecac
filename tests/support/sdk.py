"""What tests of the official SDK share: both clients in one shape, raw requests, expected errors, waiting."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import tablestore as ots
from tablestore.auth import RequestContext

IGNORE = ots.Condition(ots.RowExistenceExpectation.IGNORE)
EXPECT_EXIST = ots.Condition(ots.RowExistenceExpectation.EXPECT_EXIST)
EXPECT_NOT_EXIST = ots.Condition(ots.RowExistenceExpectation.EXPECT_NOT_EXIST)
NO_THROUGHPUT = ots.ReservedThroughput(ots.CapacityUnit(0, 0))
REFUSED_WITHIN_S = 20.0 if os.environ.get("LUTRA_TEST_CLUSTER") else 2.0
"""Of nodes that move and split partitions meanwhile; else of one server."""

SdkClient = Any
"""An ``ots.OTSClient``, or an ``AwaitedClient`` in its shape."""


class AwaitedClient:
    """The SDK's asyncio client in the shape of the other: each call runs to its end, so that tests are written once."""

    def __init__(self, client: ots.AsyncOTSClient) -> None:
        self._client = client
        self._runner = asyncio.Runner()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(*arguments: Any, **options: Any) -> Any:
            result = method(*arguments, **options)
            return self._runner.run(_collect(result) if hasattr(result, "__aiter__") else result)

        return call

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


async def _collect(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


def send(client: ots.OTSClient, operation: str, body: bytes, **header_changes: str) -> bytes:
    """Sends ``body`` as ``operation``, signed by the SDK; returns the response's body. Raises what the SDK raises.

    ``header_changes`` replace headers after signing; ``_`` in their names stands for ``-``.
    """
    context = RequestContext(client.credentials_provider.get_credentials())
    path = f"/{operation}"
    headers = client.protocol._make_request_headers(body, path, client._signer, context)
    headers |= {name.replace("_", "-"): value for name, value in header_changes.items()}
    status, reason, answer_headers, answer = client.connection.send_receive(path, headers, body)
    # The SDK knows only the operations it has a method for; their names go no further than its log.
    client.protocol.handle_error("ListTable", path, status, reason, answer_headers, answer, client._signer, context)
    return answer


@contextmanager
def refused(code: str, status: int, message: str | None = None, *, mentions: str = "") -> Iterator[None]:
    """Expects the server to refuse, at once, with that code, HTTP status and text (or part of a text)."""
    started = time.monotonic()
    with pytest.raises(ots.OTSServiceError) as caught:
        yield
    error = caught.value
    assert (error.get_error_code(), error.get_http_status()) == (code, status), error
    if message is not None:
        assert error.get_error_message() == message
    assert mentions in error.get_error_message()
    assert error.get_error_message()
    assert error.get_request_id()
    assert time.monotonic() - started < REFUSED_WITHIN_S


def invalid(message: str | None = None, *, mentions: str = "") -> Any:
    """Expects OTSParameterInvalid."""
    return refused("OTSParameterInvalid", 400, message, mentions=mentions)


def is_accepted(write: Callable[[], object]) -> bool:
    """Whether a guarded write was let through; any other error than its condition's is raised."""
    try:
        write()
    except ots.OTSServiceError as error:
        answer = (error.get_error_code(), error.get_http_status(), error.get_error_message())
        if answer != ("OTSConditionCheckFail", 403, "Condition check failed."):
            raise
        return False
    return True


def column(name: str, comparator: int, value: Any, **options: bool) -> ots.SingleColumnCondition:
    """A condition on one column, the comparator in the middle where it reads best."""
    return ots.SingleColumnCondition(name, value, comparator, **options)


def composite(operator: int, *parts: ots.ColumnCondition) -> ots.CompositeColumnCondition:
    """A condition of conditions."""
    whole = ots.CompositeColumnCondition(operator)
    for part in parts:
        whole.add_sub_condition(part)
    return whole


def values(row: ots.Row | None) -> dict[str, Any]:
    """The newest value of each attribute column of a row that was read."""
    assert row is not None
    newest: dict[str, Any] = {}
    for name, value, _ in row.attribute_columns:
        newest.setdefault(name, value)
    return newest


def versions(row: ots.Row | None, column: str) -> list[tuple[Any, int]]:
    """``(value, timestamp in ms)`` of each version of a column, as the server ordered them."""
    assert row is not None
    return [(value, timestamp) for name, value, timestamp in row.attribute_columns if name == column]


def put(client: SdkClient, table: str, key: list[tuple[str, Any]], **columns: Any) -> None:
    """Writes one row whatever was there."""
    client.put_row(table, ots.Row(key, list(columns.items())), IGNORE)


def get(client: SdkClient, table: str, key: list[tuple[str, Any]], **options: Any) -> ots.Row | None:
    """Reads one row; None where there is none."""
    _, row, _ = client.get_row(table, key, **options)
    return row


def write_batch(client: SdkClient, table: str, items: list[ots.RowItem]) -> ots.BatchWriteRowResponse:
    """BatchWriteRow of one table."""
    request = ots.BatchWriteRowRequest()
    request.add(ots.TableInBatchWriteRowItem(table, items))
    return client.batch_write_row(request)


def load(client: SdkClient, table: str, rows: list[tuple[list[tuple[str, Any]], dict[str, Any]]]) -> None:
    """Writes many rows, 200 in a request."""
    for start in range(0, len(rows), 200):
        items = [
            ots.PutRowItem(ots.Row(key, list(columns.items())), IGNORE) for key, columns in rows[start : start + 200]
        ]
        assert write_batch(client, table, items).is_all_succeed()


def create_split(client: SdkClient, table: str, key: tuple[str, str], points: list[Any]) -> None:
    """A table with one key column, of which a partition begins at each of these values."""
    client._create_table_ex(ots.TableMeta(table, [key]), ots.TableOptions(), NO_THROUGHPUT, split_points=points)
