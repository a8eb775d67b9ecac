"""Coverage-guided fuzzing of requests: headers and signatures, bodies of every operation, all against a real engine.

    python tests/fuzz/fuzz_requests.py [libFuzzer options] CORPUS      fuzz; a directory for inputs worth keeping
    python tests/fuzz/fuzz_requests.py --replay CORPUS                 translate them all many times: no memory is kept
    python tests/fuzz/fuzz_requests.py --random SEED COUNT             requests at random from their descriptors instead

An input's first byte says what the rest is: the body of an operation, a compressed body, or a request's headers. What
must hold: no exception gets out, nothing a client sends is a 5xx, every answer is whole.
"""

from __future__ import annotations

import base64
import faulthandler
import hashlib
import resource
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from lutra.server.http.responses import Response

REPLAY_ROUNDS = 100
REPLAY_GROWTH_BYTES_MAX = 1 << 20
NOW_US = 1_795_447_465_000_000
SECRET = "testsk"
HANGS_AFTER_S = 60


def load() -> None:
    """Imports what is fuzzed; called inside atheris's instrumentation where it fuzzes."""
    import lutra.instance.engine
    import lutra.server.http.service  # noqa: F401


class FixedClock:
    def now_us(self) -> int:
        return NOW_US


class Target:
    """One engine with a table and an index, behind the server's own code."""

    def __init__(self, folder: Path) -> None:
        from lutra.instance.engine import Engine
        from lutra.server.auth.credentials import Credentials
        from lutra.server.auth.gate import Gate
        from lutra.server.http.responses import Responder
        from lutra.server.http.service import Service
        from lutra.server.lanes.searches import Searches
        from lutra.server.observe.engine_metrics import engine_collectors
        from lutra.server.observe.metrics import Metrics
        from lutra.server.protocol.operations import OPERATIONS

        self.engine = Engine.open(folder)
        self.engine.create_instance("test")
        clock = FixedClock()
        self.gate = Gate(Credentials("testak", SECRET), clock)
        metrics = Metrics(engine_collectors(self.engine, clock))
        self.service = Service(self.engine, Responder(clock, "testak"), metrics, Searches(8))
        self.operations = [OPERATIONS[name] for name in sorted(OPERATIONS)]

    def make_table(self) -> None:
        """The table and the index that inputs speak of, where an input has deleted them."""
        from random_requests import fuzzed_schema

        from lutra.model.errors import LutraError
        from lutra.model.schema import KeyColumn, TableSchema
        from lutra.model.values import ColumnType

        instance = self.engine.instance("test")
        if "t" not in instance.tables.names():
            for table, index in instance.list_search_indexes(None):
                instance.delete_search_index(table, index)
            for name in instance.tables.names():
                instance.delete_table(name)
            key = (KeyColumn("a", ColumnType.STRING), KeyColumn("b", ColumnType.INTEGER))
            instance.tables.create(TableSchema("t", key))
        if ("t", "i") not in instance.list_search_indexes("t"):
            try:
                instance.create_search_index("t", "i", fuzzed_schema())
            except LutraError as error:
                raise AssertionError(error) from error

    def check(self, data: bytes) -> None:
        """Everything that must hold of any input."""
        if not data:
            return
        kind, rest = data[0] % (len(self.operations) + 2), data[1:]
        if kind == len(self.operations):
            self.check_headers(rest)
        elif kind == len(self.operations) + 1:
            self.check_body(rest[:1], rest[1:])
        else:
            self.check_operation(kind, rest)

    def check_operation(self, number: int, body: bytes) -> Response | None:
        """The response; None where it comes later."""
        from lutra.model.deadline import Deadline
        from lutra.server.auth.gate import Admission
        from lutra.server.lanes.later import Later

        self.make_table()
        md5 = base64.b64encode(hashlib.md5(body).digest())
        operation = self.operations[number]
        admission = Admission("test", b"k", md5, False, None)
        response = self.service.perform(operation, admission, body, "id", Deadline(600))
        if isinstance(response, Later):
            response.cancel()
            return None
        assert response.status < 500 or response.code == "OTSServerBusy", (operation.name, response, body)
        names = [name for name, _ in response.headers]
        assert len(set(names)) == len(names)
        return response

    def check_body(self, flags: bytes, body: bytes) -> None:
        """A body that says it is compressed."""
        from lutra.model.errors import LutraError
        from lutra.server.auth.gate import Admission, open_body

        md5 = base64.b64encode(hashlib.md5(body).digest())
        try:
            message = open_body(Admission("test", b"k", md5, True, flags[0] if flags else None), body)
        except LutraError:
            return
        assert zlib.decompress(body) == message

    def check_headers(self, data: bytes) -> None:
        """Lines of ``name:value``. Signed by their last line where that is empty, else as they are."""
        from lutra.model.errors import LutraError
        from lutra.server.auth import signing

        lines = [line.partition(b":") for line in data.split(b"\n")]
        headers = [(name.lower(), value) for name, colon, value in lines if colon]
        if data.endswith(b"\n"):
            given = {name: value.strip() for name, value in headers if name.startswith(b"x-ots-")}
            text = signing.string_to_sign(b"ListTable", signing.header_lines(given, signing.SIGNATURE_V2))
            headers = [header for header in headers if header[0] != signing.SIGNATURE_V2]
            headers.append((signing.SIGNATURE_V2, signing.sign_v2(SECRET.encode(), text)))
        signed = {signing.SIGNATURE_V2, signing.SIGNATURE_V4} & {name for name, _ in headers}
        try:
            admission = self.gate.admit(b"ListTable", headers)
        except LutraError as error:
            text_shown = str(error)
        else:
            text_shown = ""
            assert admission.signing_key
            assert signed, "let in without a signature"
        assert not text_shown or text_shown.isprintable()


Call = tuple[str, tuple[Any, ...]]
KEY: list[Any] = [("a", "x"), ("b", 5)]
KEY_TUPLE = (("a", "x"), ("b", 5))


def seeds(target: Target) -> list[bytes]:
    """A good request of every operation, as the official SDK encodes it where it can, and good headers."""
    from tablestore.encoder import OTSProtoBufferEncoder

    encode = OTSProtoBufferEncoder("utf8").encode_request
    calls = [*table_calls(), *row_calls(), *search_calls()]
    made = {name: bytes(encode(name, *arguments).SerializeToString()) for name, arguments in calls}
    for message in messages_of_others(target):
        made[message.DESCRIPTOR.name.removesuffix("Request")] = message.SerializeToString()
    made["ListTimeseriesTable"] = b""
    numbers = {operation.name: bytes([n]) for n, operation in enumerate(target.operations)}
    assert set(made) == set(numbers)
    headers = (
        b"x-ots-accesskeyid:testak\nx-ots-apiversion:2015-12-31\nx-ots-contentmd5:1B2M2Y8AsgTpgAmY7PhCfg==\n"
        b"x-ots-date:2026-11-23T15:24:25.000Z\nx-ots-instancename:test\nx-ots-request-compress-type:deflate\n"
    )
    v4 = b"x-ots-signdate:20261123\nx-ots-signregion:cn\nx-ots-signaturev4:dVfz="
    count = len(target.operations)
    return [
        *(numbers[name] + body for name, body in made.items()),
        bytes([count]) + headers,
        bytes([count]) + headers + v4,
        bytes([count + 1, 5]) + zlib.compress(b"abcde"),
    ]


def messages_of_others(target: Target) -> list[Message]:
    """What the Python SDK has no words for, or what has to name something that is there."""
    from lutra.kernels.plainbuffer import encode_change, encode_key
    from lutra.model.schema import StreamSpec, TableUpdate
    from lutra.model.values import INF_MAX, INF_MIN
    from lutra.server.protocol.stream_messages import iterator_text
    from lutra.server.wire import bulk_pb2, row_pb2, secondary_pb2, stream_pb2, table_pb2, transaction_pb2

    instance = target.engine.instance("test")
    target.make_table()
    instance.tables.update("t", TableUpdate(stream=StreamSpec(24, ("long",))))
    (stream,) = instance.list_streams("t")
    ids = {"stream_id": stream.stream_id, "shard_id": stream.shards[0].id}
    at = iterator_text(instance.stream_iterator(stream.stream_id, stream.shards[0].id))
    transaction = instance.tables.start_transaction("t", (("a", "held"),))
    instance.tables.abort_transaction(transaction)
    column = table_pb2.DefinedColumnSchema(name="d", type=table_pb2.DEFINED_COLUMN_TYPE_DOUBLE)
    change = encode_change(KEY_TUPLE, [("long", 5, None, 0)], False)
    row = bulk_pb2.RowInBulkImportRequest(type=row_pb2.OPERATION_TYPE_PUT, row_change=change)
    index = secondary_pb2.IndexMeta(
        name="s",
        primary_key=["a", "b"],
        index_update_mode=secondary_pb2.IUM_SYNC_INDEX,
        index_type=secondary_pb2.IT_LOCAL_INDEX,
    )
    bounds = [encode_key((("a", bound), ("b", bound))) for bound in (INF_MIN, INF_MAX)]
    return [
        table_pb2.AddDefinedColumnRequest(table_name="t", columns=[column]),
        table_pb2.DeleteDefinedColumnRequest(table_name="t", columns=["d"]),
        table_pb2.ComputeSplitPointsBySizeRequest(table_name="t", split_size=1, split_size_unit_in_byte=1 << 20),
        transaction_pb2.StartLocalTransactionRequest(table_name="t", key=encode_key((("a", "x"),))),
        transaction_pb2.CommitTransactionRequest(transaction_id=transaction),
        transaction_pb2.AbortTransactionRequest(transaction_id=transaction),
        secondary_pb2.CreateIndexRequest(main_table_name="t", index_meta=index, include_base_data=True),
        secondary_pb2.DropIndexRequest(main_table_name="t", index_name="s"),
        stream_pb2.ListStreamRequest(table_name="t"),
        stream_pb2.DescribeStreamRequest(stream_id=stream.stream_id, shard_limit=1),
        stream_pb2.GetShardIteratorRequest(**ids, timestamp=1),
        stream_pb2.GetStreamRecordRequest(shard_iterator=at, limit=5),
        bulk_pb2.BulkImportRequest(table_name="t", rows=[row, row]),
        bulk_pb2.BulkExportRequest(
            table_name="t",
            columns_to_get=["long"],
            inclusive_start_primary_key=bounds[0],
            exclusive_end_primary_key=bounds[1],
            data_block_type_hint=row_pb2.DATA_BLOCK_TYPE_SIMPLE_ROW_MATRIX,
        ),
    ]


def table_calls() -> list[Call]:
    import tablestore as ots

    meta = ots.TableMeta("u", [("a", "STRING"), ("b", "INTEGER", ots.PK_AUTO_INCR)], [("d", "DOUBLE")])
    throughput = ots.ReservedThroughput(ots.CapacityUnit(0, 0))
    return [
        ("CreateTable", (meta, ots.TableOptions(), throughput, ots.SSESpecification(False), [], ["m"])),
        ("ListTable", ()),
        ("DescribeTable", ("t",)),
        ("UpdateTable", ("t", ots.TableOptions(90_000, 3, 5, True), throughput)),
        ("DeleteTable", ("u",)),
    ]


def row_calls() -> list[Call]:
    import tablestore as ots

    condition = ots.CompositeColumnCondition(ots.LogicalOperator.AND)
    for value in (1, "s", 1.5, True, bytearray(b"b")):
        condition.add_sub_condition(ots.SingleColumnCondition("c", value, ots.ComparatorType.GREATER_EQUAL))
    guarded = ots.Condition(ots.RowExistenceExpectation.IGNORE, condition)
    ignore = ots.Condition(ots.RowExistenceExpectation.IGNORE)
    put = [("long", 5), ("keyword", "k"), ("vector", "[1, 2]"), ("date", "2026-11-23"), ("bin", bytearray(b"x"))]
    row = ots.Row(KEY, put)
    changes = ots.Row(
        KEY, {"PUT": [("long", 6)], "DELETE_ALL": ["keyword"], "INCREMENT": [("n", 1)], "DELETE": [("m", None, 5)]}
    )
    items = [ots.PutRowItem(row, ignore), ots.UpdateRowItem(changes, guarded), ots.DeleteRowItem(row, ignore)]
    write, read = ots.BatchWriteRowRequest(), ots.BatchGetRowRequest()
    write.add(ots.TableInBatchWriteRowItem("t", items))
    read.add(ots.TableInBatchGetRowItem("t", [KEY, KEY], ["long"], condition, 2))
    infinite = [[("a", bound), ("b", bound)] for bound in (ots.INF_MIN, ots.INF_MAX)]
    return [
        ("GetRow", ("t", KEY, ["long"], condition, 1, (1, 9), "a", "z", b"t", None)),
        ("PutRow", ("t", row, guarded, ots.ReturnType.RT_PK, None)),
        ("UpdateRow", ("t", changes, guarded, None, None)),
        ("DeleteRow", ("t", KEY, guarded, None, None)),
        ("BatchWriteRow", (write,)),
        ("BatchGetRow", (read,)),
        ("GetRange", ("t", ots.Direction.FORWARD, *infinite, ["long"], 5, condition, 1, None, "a", "z", None, None)),
    ]


def search_calls() -> list[Call]:
    import tablestore as ots

    query = ots.BoolQuery(
        [ots.TermQuery("keyword", "k")],
        [ots.TermsQuery("long", [1, 2])],
        [ots.RangeQuery("date", "2026-01-01", "2027-01-01")],
        [
            ots.PrefixQuery("keyword", "k"),
            ots.ExistsQuery("double"),
            ots.KnnVectorQuery("vector", 5, [1.0, 2.0], ots.MatchAllQuery(), 2.0, 0.1, 9),
        ],
        "50%",
    )
    by_field = ots.FieldSort("long", ots.SortOrder.DESC, ots.SortMode.AVG)
    sort = ots.Sort([by_field, ots.ScoreSort(), ots.PrimaryKeySort()])
    vector = ots.VectorOptions(ots.VectorDataType.VD_FLOAT_32, ots.VectorMetricType.VM_COSINE, 4)
    field = ots.FieldSchema("v", ots.FieldType.VECTOR, vector_options=vector)
    index = ots.SearchIndexMeta([field], ots.IndexSetting(["a"]), ots.Sort([by_field]))
    columns = ots.ColumnsToGet(["long"], ots.ColumnReturnType.SPECIFIED)
    day = ots.GroupByDateHistogram("date", ots.DateTimeValue(1, ots.DateTimeUnit.DAY), time_zone="+08:00")
    groups = [
        ots.GroupByField("keyword", sub_aggs=[ots.Sum("long", 1)], sub_group_bys=[ots.GroupByRange("long", [(1, 2)])]),
        ots.GroupByHistogram("long", 2, ots.FieldRange(0, 9)),
        ots.GroupByFilter([query]),
        ots.GroupByComposite([ots.GroupByField("keyword"), day], 3),
    ]
    aggs = [ots.Percentiles("long", [50]), ots.DistinctCount("keyword"), ots.TopRows(2, sort)]
    search = ots.SearchQuery(query, sort, True, None, 1, 5, aggs, groups)
    return [
        ("CreateSearchIndex", ("t", "j", index)),
        ("DescribeSearchIndex", ("t", "i", True)),
        ("ListSearchIndex", ("t",)),
        ("DeleteSearchIndex", ("t", "j")),
        ("UpdateSearchIndex", ("t", "i", ots.SearchIndexMeta(None, time_to_live=86_400))),
        ("ComputeSplits", ("t", "i")),
        ("ParallelScan", ("t", "i", ots.ScanQuery(query, 5, None, 0, 1, 30), "session", columns, 1)),
        ("Search", ("t", "i", search, columns, [KEY], 1)),
    ]


def translations() -> list[Callable[[bytes], object]]:
    """Every translation by itself, with no engine that may keep things."""
    from lutra.server.protocol import (
        bulk_messages,
        filter_messages,
        index_messages,
        row_messages,
        scan_messages,
        search_messages,
        stream_messages,
        table_messages,
    )
    from lutra.server.protocol.aggregations import parse_aggregations, parse_group_bys
    from lutra.server.protocol.parsing import parse
    from lutra.server.wire import bulk_pb2, index_pb2, query_pb2, row_pb2, scan_pb2, stream_pb2, table_pb2

    return [
        filter_messages.parse_filter,
        lambda data: table_messages.parse_schema(parse(table_pb2.CreateTableRequest, data)),
        lambda data: row_messages.parse_put(parse(row_pb2.PutRowRequest, data)),
        lambda data: row_messages.parse_range(parse(row_pb2.GetRangeRequest, data)),
        lambda data: [
            row_messages.parse_batch_change(row)
            for table in parse(row_pb2.BatchWriteRowRequest, data).tables
            for row in table.rows
        ],
        lambda data: index_messages.parse_index_schema(parse(index_pb2.CreateSearchIndexRequest, data)),
        lambda data: index_messages.parse_index_update(parse(index_pb2.UpdateSearchIndexRequest, data)),
        lambda data: search_messages.parse_search(parse(query_pb2.SearchRequest, data)),
        lambda data: scan_messages.parse_scan(parse(scan_pb2.ParallelScanRequest, data)),
        lambda data: stream_messages.parse_iterator(parse(stream_pb2.GetStreamRecordRequest, data).shard_iterator),
        lambda data: bulk_messages.parse_import(parse(bulk_pb2.BulkImportRequest, data)),
        lambda data: bulk_messages.parse_export(parse(bulk_pb2.BulkExportRequest, data)),
        parse_aggregations,
        parse_group_bys,
    ]


def at_random(target: Target, seed: int, count: int) -> None:
    """Requests of `random_requests`, one after the other, to a table that has rows; prints what came of them.

    Ends with a failure at the first that is answered by a 5xx, or takes longer than a request may.
    """
    from random_requests import KEYS, RandomRequests

    from lutra.server.wire import query_pb2, scan_pb2

    requests = RandomRequests(seed)
    numbers = {operation.name: number for number, operation in enumerate(target.operations)}
    for key in range(KEYS):
        target.check_operation(numbers["PutRow"], requests.row(key, odd=False))
    came: Counter[tuple[str, int]] = Counter()
    for _ in range(count):
        faulthandler.dump_traceback_later(HANGS_AFTER_S, exit=True)
        name, body = requests.request()
        response = target.check_operation(numbers[name], body)
        if response is None:
            continue
        came[name, response.status] += 1
        if response.status != 200:
            continue
        if name == "Search":
            requests.keep_token(query_pb2.SearchResponse.FromString(response.body).next_token)
        elif name == "ParallelScan":
            requests.keep_token(scan_pb2.ParallelScanResponse.FromString(response.body).next_token)
        elif name == "ComputeSplits":
            requests.keep_session(scan_pb2.ComputeSplitsResponse.FromString(response.body).session_id)
    faulthandler.cancel_dump_traceback_later()
    for (name, status), times in sorted(came.items()):
        print(f"{name} {status} {times}")


def replay(corpus: Path, target: Target) -> None:
    """Translates every input many times. Exits with 1 where the process grows."""
    from lutra.model.errors import LutraError

    inputs = [path.read_bytes() for path in corpus.iterdir()]
    translate = translations()

    def once() -> None:
        for data in inputs:
            target.check_headers(data[1:])
            target.check_body(data[1:2], data[2:])
            for function in translate:
                with suppress(LutraError):
                    function(data[1:])

    for _ in range(REPLAY_ROUNDS // 3):  # until caches are warm
        once()
    before = resident_bytes()
    for _ in range(REPLAY_ROUNDS):
        once()
    growth = resident_bytes() - before
    print(f"{len(inputs)} inputs, {REPLAY_ROUNDS} rounds: grew by {growth} bytes")
    sys.exit(growth > REPLAY_GROWTH_BYTES_MAX)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def main(arguments: list[str]) -> None:
    corpus = Path(arguments[-1])
    with tempfile.TemporaryDirectory(prefix="lutra-fuzz-") as folder:
        if arguments[0] == "--replay":
            replay(corpus, Target(Path(folder) / "data"))
            return
        if arguments[0] == "--random":
            target = Target(Path(folder) / "data")
            at_random(target, int(arguments[1]), int(arguments[2]))
            target.engine.close()
            return
        import atheris

        # First, so that modules come with the plain loader: atheris cannot instrument what an editable install's gives.
        sys.meta_path.insert(0, PathFinder)
        with atheris.instrument_imports(include=["lutra"]):
            load()
        target = Target(Path(folder) / "data")
        for number, seed in enumerate(seeds(target)):
            target.check(seed)
            (corpus / f"seed-{number:02d}").write_bytes(seed)
        atheris.Setup([sys.argv[0], *arguments], target.check)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
