"""Who may come in: keys, both signatures, temporary tokens, instances and clocks."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import tablestore as ots
from support.sdk import AwaitedClient, SdkClient, invalid, refused, send
from support.server import ServerProcess

Connect = Callable[..., SdkClient]


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest, server: ServerProcess) -> Iterator[Connect]:
    """Makes a client with the given options."""
    opened: list[AwaitedClient] = []

    def make(**options: Any) -> SdkClient:
        if request.param == "sync":
            return server.client(**options)
        opened.append(AwaitedClient(server.async_client(**options)))
        return opened[-1]

    yield make
    for client in opened:
        client.close()


V4 = {"region": "cn-hangzhou"}
STS = {"sts_token": "a token that is signed and not looked at"}


@pytest.mark.parametrize("options", [{}, V4, STS, V4 | STS], ids=["v2", "v4", "v2 sts", "v4 sts"])
def test_signed_requests_are_answered(connect: Connect, options: dict[str, Any]) -> None:
    """The client checks the signature of the answer too."""
    client = connect(**options)
    assert isinstance(client.list_table(), tuple)
    with refused("OTSObjectNotExist", 404):
        client.describe_table("absent")


@pytest.mark.parametrize("options", [{}, V4], ids=["v2", "v4"])
def test_an_endpoint_that_ends_in_a_slash(server: ServerProcess, options: dict[str, Any]) -> None:
    client = server.client(end_point=server.endpoint + "/", **options)
    assert isinstance(client.list_table(), tuple)
    with refused("OTSObjectNotExist", 404, "Requested table does not exist."):
        client.describe_table("absent")
    awaited = AwaitedClient(server.async_client(end_point=server.endpoint + "/", **options))
    try:
        assert isinstance(awaited.list_table(), tuple)
    finally:
        awaited.close()


def test_other_headers_of_the_protocol_are_signed(connect: Connect) -> None:
    headers = {"x-ots-request-tag": "a tag", "x-ots-sdk-traceid": "trace", "x-other": "not signed"}
    assert isinstance(connect(extra_headers=headers).list_table(), tuple)


@pytest.mark.parametrize("options", [{}, V4], ids=["v2", "v4"])
@pytest.mark.parametrize(
    "wrong",
    [{"access_key_secret": "wrong"}, {"access_key_id": "wrong"}, {"instance_name": "absent"}],
    ids=["secret", "key id", "instance"],
)
def test_who_is_not_let_in(connect: Connect, options: dict[str, Any], wrong: dict[str, str]) -> None:
    with refused("OTSAuthFailed", 403):
        connect(**options, **wrong).list_table()


@pytest.mark.parametrize("minutes", [-20, 20])
def test_clocks_that_differ(connect: Connect, minutes: int) -> None:
    then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    date = then.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    with refused("OTSAuthFailed", 403, mentions=f"Mismatch between system time and x-ots-date: {date}"):
        connect(extra_headers={"x-ots-date": date}).list_table()


@pytest.mark.parametrize("minutes", [-10, 10])
def test_clocks_that_differ_a_little(connect: Connect, minutes: int) -> None:
    then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    client = connect(extra_headers={"x-ots-date": then.strftime("%Y-%m-%dT%H:%M:%S.000Z")})
    assert isinstance(client.list_table(), tuple)


def test_a_date_as_go_sends_it(connect: Connect) -> None:
    """Its layout is wrong: digits of garbage follow the second."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.1123314Z")
    assert isinstance(connect(extra_headers={"x-ots-date": now}).list_table(), tuple)


@pytest.mark.parametrize("date", ["", "yesterday", "2026-13-45T99:99:99.000Z"])
def test_dates_that_are_none(connect: Connect, date: str) -> None:
    with pytest.raises(ots.OTSServiceError) as caught:
        connect(extra_headers={"x-ots-date": date}).list_table()
    assert caught.value.get_http_status() in (400, 403)


def test_a_body_that_is_not_the_one_that_was_signed(sync_client: ots.OTSClient) -> None:
    with pytest.raises(ots.OTSServiceError) as caught:
        send(sync_client, "ListTable", b"", x_ots_contentmd5="AAAAAAAAAAAAAAAAAAAAAA==")
    assert caught.value.get_http_status() in (400, 403)


def test_a_header_changed_after_signing(sync_client: ots.OTSClient) -> None:
    with refused("OTSAuthFailed", 403):
        send(sync_client, "ListTable", b"", x_ots_ststoken="added on the way")


@pytest.mark.parametrize("signature", ["", "AAAA", "not base64 ü".encode("latin-1").decode("latin-1")])
def test_signatures_that_are_none(sync_client: ots.OTSClient, signature: str) -> None:
    with refused("OTSAuthFailed", 403):
        send(sync_client, "ListTable", b"", x_ots_signature=signature)


def test_an_instance_sees_its_own_tables(server: ServerProcess, sync_client: ots.OTSClient, table: str) -> None:
    assert table in sync_client.list_table()
    with refused("OTSAuthFailed", 403):
        server.client(instance_name="another").list_table()


def test_an_api_version_there_is_none(connect: Connect) -> None:
    with invalid():
        connect(extra_headers={"x-ots-apiversion": "1999-01-01"}).list_table()
