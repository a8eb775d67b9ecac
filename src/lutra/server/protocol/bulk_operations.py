"""Operations on many rows of one table, each for itself."""

from __future__ import annotations

from lutra.instance.doors import InstanceDoor
from lutra.model.errors import LutraError
from lutra.server.lanes.reply import Reply
from lutra.server.protocol import bulk_messages as messages
from lutra.server.protocol.parsing import parse
from lutra.server.wire import bulk_pb2 as wire


def bulk_import(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(wire.BulkImportRequest, body)
    results = instance.tables.write_bulk(request.table_name, messages.parse_import(request))
    failed = sum(isinstance(result, LutraError) for result in results)
    response = messages.import_message(request.table_name, results)
    return Reply(response.SerializeToString(), rows_written=len(results) - failed)


def bulk_export(instance: InstanceDoor, body: bytes) -> Reply:
    request = parse(wire.BulkExportRequest, body)
    result = instance.tables.read_range(request.table_name, messages.parse_export(request))
    response, count = messages.export_message(request, result)
    return Reply(response.SerializeToString(), rows_read=count)
