"""The protocol over HTTP: what every answer carries, and how what is no good request is refused."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ServerProcess
from support.wire_client import Answer, WireClient, response_signature, signing_key

from lutra.instance.registry import create_instance
from lutra.model import limits
from lutra.server.protocol.operations import JSON_UNSERVED, OPERATIONS, UNSERVED
from lutra.server.wire import error_pb2, secondary_pb2, table_pb2

TODAY = ("20261123", "cn-hangzhou")
MISSING_TABLE = table_pb2.DescribeTableRequest(table_name="missing").SerializeToString()


def error_of(answer: Answer) -> tuple[int, str, str]:
    """Status, code and text of a refusal."""
    error = error_pb2.Error.FromString(answer.body)
    return answer.status, error.code, error.message


def check_headers(answer: Answer, operation: str, key: bytes | None) -> None:
    """What an SDK checks of every answer; ``key`` None: the caller has not proved who it is, so nothing is signed."""
    headers = answer.headers
    assert headers["x-ots-contentmd5"] == base64.b64encode(hashlib.md5(answer.body).digest()).decode()
    assert headers["x-ots-contenttype"]
    assert re.fullmatch(r"[0-9a-f]+-[0-9a-f]+", headers["x-ots-requestid"])
    sent = datetime.strptime(headers["x-ots-date"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - sent) < timedelta(seconds=30)
    names = [name for name in headers if name.startswith("x-ots-")]
    assert not any(other.startswith(name + "-") for name in names for other in names)
    if key is None:
        assert "authorization" not in headers
    else:
        signature = response_signature(key, operation, headers)
        assert headers["authorization"] == f"OTS {ACCESS_KEY_ID}:{signature}"


def test_answers_are_signed(wire: WireClient) -> None:
    key = signing_key(ACCESS_KEY_SECRET, None)
    answer = wire.call("ListTable")
    assert (answer.status, answer.body) == (200, b"")
    check_headers(answer, "ListTable", key)
    refused = wire.call("DescribeTable", MISSING_TABLE)
    assert error_of(refused) == (404, "OTSObjectNotExist", "Requested table does not exist.")
    check_headers(refused, "DescribeTable", key)
    assert refused.headers["x-ots-requestid"] != answer.headers["x-ots-requestid"]


def test_answers_to_v4_are_signed_with_its_key(wire: WireClient) -> None:
    answer = wire.send("/ListTable", wire.headers("ListTable", b"", v4=TODAY))
    assert answer.status == 200
    check_headers(answer, "ListTable", signing_key(ACCESS_KEY_SECRET, TODAY))


@pytest.mark.parametrize("path", ["//ListTable", "///ListTable"])
def test_an_endpoint_that_ends_in_a_slash(wire: WireClient, path: str) -> None:
    """The operation is signed, as Python and Go do it, not the path."""
    answer = wire.send(path, wire.headers("ListTable", b""))
    assert answer.status == 200
    check_headers(answer, "ListTable", ACCESS_KEY_SECRET.encode())
    assert error_of(wire.send("//NoSuch", wire.headers("NoSuch", b"")))[:2] == (400, "OTSUnsupportOperation")


def test_header_names_in_any_case(wire: WireClient) -> None:
    headers = {name.title(): value for name, value in wire.headers("ListTable", b"").items()}
    assert wire.send("/ListTable", headers).status == 200


def test_dates_of_the_go_sdk(wire: WireClient) -> None:
    date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.11233Z")
    assert wire.call("ListTable", changes={"x-ots-date": date}).status == 200


@pytest.mark.parametrize("by", [timedelta(minutes=16), timedelta(minutes=-16), timedelta(days=400)])
def test_clocks_that_are_off(wire: WireClient, by: timedelta) -> None:
    date = (datetime.now(UTC) + by).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    answer = wire.call("ListTable", changes={"x-ots-date": date})
    assert error_of(answer) == (403, "OTSAuthFailed", f"Mismatch between system time and x-ots-date: {date}.")
    check_headers(answer, "ListTable", None)


def test_strangers(wire: WireClient) -> None:
    answer = wire.call("ListTable", changes={"x-ots-accesskeyid": "somebody"})
    assert error_of(answer) == (403, "OTSAuthFailed", "The AccessKeyID does not exist.")
    check_headers(answer, "ListTable", None)
    for v4 in (None, TODAY):
        answer = wire.send("/ListTable", wire.headers("ListTable", b"", v4=v4, secret="guessed"))
        assert error_of(answer) == (403, "OTSAuthFailed", "Signature mismatch.")
        check_headers(answer, "ListTable", None)


def test_a_signature_holds_for_one_operation(wire: WireClient) -> None:
    answer = wire.send("/DescribeTable", wire.headers("ListTable", b""))
    assert error_of(answer) == (403, "OTSAuthFailed", "Signature mismatch.")


@pytest.mark.parametrize(
    "name", ["x-ots-date", "x-ots-apiversion", "x-ots-accesskeyid", "x-ots-instancename", "x-ots-contentmd5"]
)
def test_missing_headers(wire: WireClient, name: str) -> None:
    answer = wire.call("ListTable", changes={name: None})
    assert error_of(answer) == (400, "OTSParameterInvalid", f"Missing header: '{name}'.")


def test_another_body_than_was_signed(wire: WireClient) -> None:
    headers = wire.headers("DescribeTable", b"")
    answer = wire.send("/DescribeTable", headers, MISSING_TABLE)
    assert error_of(answer) == (
        403,
        "OTSAuthFailed",
        "Mismatch between MD5 value of request body and x-ots-contentmd5 in header.",
    )
    check_headers(answer, "DescribeTable", signing_key(ACCESS_KEY_SECRET, None))


def test_instances(raw_server: ServerProcess, wire: WireClient) -> None:
    wire.instance = "later"
    assert error_of(wire.call("ListTable")) == (403, "OTSAuthFailed", "The instance is not found.")
    create_instance(raw_server.data_dir, "later")
    assert wire.call("ListTable").status == 200
    for name in ("..", "a/b", "x" * 300, "\xff\xfe"):
        wire.instance = name
        assert error_of(wire.call("ListTable")) == (403, "OTSAuthFailed", "The instance is not found.")


# Operations


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods(wire: WireClient, method: str) -> None:
    answer = wire.send("/ListTable", wire.headers("ListTable", b""), method=method)
    assert error_of(answer) == (405, "OTSMethodNotAllowed", "Only POST method for requests is supported.")


def test_head(wire: WireClient) -> None:
    assert wire.send("/ListTable", {}, method="HEAD").status == 405


@pytest.mark.parametrize("path", ["HelloWorld", "listtable", "", "ListTable/", "x//ListTable", "a" * 500, "%00%ff%0a"])
def test_unknown_operations(wire: WireClient, path: str) -> None:
    status, code, message = error_of(wire.call(path))
    assert (status, code) == (400, "OTSUnsupportOperation")
    assert message.startswith("Unsupported operation: '")
    assert message.isprintable()


@pytest.mark.parametrize("operation", sorted(UNSERVED))
def test_operations_not_served(wire: WireClient, operation: str) -> None:
    status, code, message = error_of(wire.call(operation))
    assert (status, code) == (400, "OTSUnsupportOperation")
    assert operation in message


@pytest.mark.parametrize("operation", sorted(JSON_UNSERVED))
def test_json_operations_not_served(wire: WireClient, operation: str) -> None:
    answer = wire.call(operation, b"{}")
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
    content = json.loads(answer.body)
    assert content["code"] == "OTSUnsupportOperation"
    assert operation in content["message"]


def test_query_strings_are_refused(wire: WireClient) -> None:
    answer = wire.send("/ListTable?a=b", wire.headers("ListTable", b""))
    assert error_of(answer)[:2] == (400, "OTSParameterInvalid")


# Bodies


def test_bodies_up_to_the_limit(wire: WireClient) -> None:
    body = bytes(limits.BODY_BYTES_MAX)
    assert error_of(wire.call("PutRow", body)) == (400, "OTSParameterInvalid", "Failed to parse the ProtoBuf message.")
    too_large = error_of(wire.call("PutRow", body + b"\0"))
    assert too_large == (413, "OTSRequestBodyTooLarge", "The size of POST data is too large.")
    # The connection goes on.
    assert wire.call("ListTable").status == 200


def test_a_body_that_does_not_say_how_long_it_is(raw_server: ServerProcess, wire: WireClient) -> None:
    address = raw_server.endpoint.removeprefix("http://")

    def send(pieces: list[bytes]) -> Answer:
        body = b"".join(pieces)
        connection = http.client.HTTPConnection(address, timeout=30)
        headers = wire.headers("DescribeTable", body)
        connection.request("POST", "/DescribeTable", iter(pieces), headers, encode_chunked=True)
        response = connection.getresponse()
        answer = Answer(response.status, {}, response.read())
        connection.close()
        return answer

    assert error_of(send([MISSING_TABLE[:3], MISSING_TABLE[3:]]))[1] == "OTSObjectNotExist"
    assert error_of(send([bytes(1_000_000)] * 6))[1] == "OTSRequestBodyTooLarge"


def compressed(body: bytes, **changes: str) -> dict[str, str | None]:
    return {"x-ots-request-compress-type": "deflate", "x-ots-request-compress-size": str(len(body))} | changes


def test_compressed_bodies(wire: WireClient) -> None:
    answer = wire.call("DescribeTable", zlib.compress(MISSING_TABLE), compressed(MISSING_TABLE))
    assert error_of(answer)[1] == "OTSObjectNotExist"
    bomb = bytes(200_000_000)
    answer = wire.call("DescribeTable", zlib.compress(bomb), compressed(bomb))
    assert error_of(answer)[:2] == (413, "OTSRequestBodyTooLarge")
    answer = wire.call("DescribeTable", MISSING_TABLE, compressed(MISSING_TABLE))
    assert error_of(answer)[:2] == (400, "OTSParameterInvalid")


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
@pytest.mark.parametrize("body", [b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x08" * 99])
def test_malformed_messages_are_the_clients_fault(wire: WireClient, operation: str, body: bytes) -> None:
    answer = wire.call(operation, body)
    assert error_of(answer)[:2] == (400, "OTSParameterInvalid")
    check_headers(answer, operation, signing_key(ACCESS_KEY_SECRET, None))


@pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - {"ListTable", "ListTimeseriesTable"}))
def test_texts_that_are_not_utf8_are_the_clients_fault(wire: WireClient, operation: str) -> None:
    assert error_of(wire.call(operation, b"\x0a\x02\xff\xfe"))[:2] == (400, "OTSParameterInvalid")


@pytest.mark.parametrize(
    "operation", sorted(set(OPERATIONS) - {"ListTable", "ListTimeseriesTable", "ListSearchIndex", "ListStream"})
)
def test_empty_messages_are_the_clients_fault(wire: WireClient, operation: str) -> None:
    status, code, message = error_of(wire.call(operation))
    assert status == 400
    assert code == "OTSParameterInvalid"
    assert message


# Probes


def test_health(wire: WireClient) -> None:
    answer = wire.send("/healthz", {}, method="GET")
    assert (answer.status, answer.body) == (200, b"ok\n")
    assert wire.send("/healthz", {}, method="POST").status == 400


def test_metrics(wire: WireClient) -> None:
    assert wire.call("ListTable").status == 200
    assert wire.call("DescribeTable", MISSING_TABLE).status == 404
    answer = wire.send("/metrics", {}, method="GET")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.body.decode()
    assert re.search(r'^lutra_requests_total\{code="",operation="ListTable",status="200"\} [1-9]', text, re.MULTILINE)
    assert 'lutra_requests_total{code="OTSObjectNotExist",operation="DescribeTable",status="404"}' in text
    assert 'lutra_request_seconds_bucket{le="0.001",operation="ListTable"}' in text
    for name in (
        "lutra_request_bytes_total",
        "lutra_response_bytes_total",
        "lutra_requests_in_flight 0",
        'lutra_queue_length{lane="write"} 0',
        "process_resident_memory_bytes",
        'lutra_objects_requests_total{kind="lists"} ',
        "lutra_blocks_read_bytes_total ",
        "lutra_blocks_budget_bytes 1",
    ):
        assert name in text
    # Names of operations come from clients: those there are not must not each make a time series.
    wire.call("NoSuchOperationAtAll")
    text = wire.send("/metrics", {}, method="GET").body.decode()
    assert "NoSuchOperationAtAll" not in text
    assert 'operation="other"' in text


def test_metrics_tell_how_far_secondary_indexes_are(wire: WireClient) -> None:
    made = table_pb2.CreateTableRequest()
    made.table_meta.table_name = "indexed"
    made.table_meta.primary_key.add(name="id", type=table_pb2.PRIMARY_KEY_TYPE_STRING)
    made.table_meta.defined_column.add(name="n", type=table_pb2.DEFINED_COLUMN_TYPE_INTEGER)
    made.reserved_throughput.capacity_unit.read = made.reserved_throughput.capacity_unit.write = 0
    assert wire.call("CreateTable", made.SerializeToString()).status == 200
    modes = (secondary_pb2.IUM_ASYNC_INDEX, secondary_pb2.IUM_SYNC_INDEX)
    kinds = (secondary_pb2.IT_GLOBAL_INDEX, secondary_pb2.IT_LOCAL_INDEX)
    for name, mode, kind, key in zip(("told_global", "told_local"), modes, kinds, (["n"], ["id", "n"]), strict=True):
        meta = secondary_pb2.IndexMeta(name=name, primary_key=key, index_update_mode=mode, index_type=kind)
        request = secondary_pb2.CreateIndexRequest(main_table_name="indexed", index_meta=meta)
        assert wire.call("CreateIndex", request.SerializeToString()).status == 200
    text = wire.send("/metrics", {}, method="GET").body.decode()
    for name in ("told_global", "told_local"):
        assert re.search(rf'^lutra_secondary_index_filled{{index="{name}",.*table="indexed"}} 1', text, re.MULTILINE)
    assert re.search(r'^lutra_secondary_index_rows{index="told_global",.*} 0', text, re.MULTILINE)
    assert re.search(r'^lutra_secondary_index_lag_seconds{index="told_global",.*} \d', text, re.MULTILINE)
    assert not re.search(r'^lutra_secondary_index_(rows|lag_seconds){index="told_local"', text, re.MULTILINE)
