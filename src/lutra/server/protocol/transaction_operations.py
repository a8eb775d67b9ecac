"""Local transactions. What reads and writes rows in them is in `row_operations`."""

from __future__ import annotations

from lutra.instance.doors import InstanceDoor
from lutra.model import limits
from lutra.server.lanes.reply import Reply
from lutra.server.protocol import row_messages as messages
from lutra.server.protocol.parsing import parse
from lutra.server.wire import transaction_pb2 as wire
from lutra.tables.refusals import too_many_rows


def start_local_transaction(instance: InstanceDoor, body: bytes) -> Reply:
    """Holds the whole partition key, also where only some of its rows are named as those to lock."""
    request = parse(wire.StartLocalTransactionRequest, body)
    if len(request.row_keys) > limits.BATCH_WRITE_ROWS_MAX:
        raise too_many_rows(limits.BATCH_WRITE_ROWS_MAX)
    rows = [messages.parse_key(row) for row in request.row_keys]
    transaction = instance.tables.start_transaction(request.table_name, messages.parse_key(request.key), rows)
    return Reply(wire.StartLocalTransactionResponse(transaction_id=transaction).SerializeToString())


def commit_transaction(instance: InstanceDoor, body: bytes) -> Reply:
    instance.tables.commit_transaction(parse(wire.CommitTransactionRequest, body).transaction_id)
    return Reply(b"")


def abort_transaction(instance: InstanceDoor, body: bytes) -> Reply:
    instance.tables.abort_transaction(parse(wire.AbortTransactionRequest, body).transaction_id)
    return Reply(b"")
