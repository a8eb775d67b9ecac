"""Streams, bulk import and bulk export as the official Java SDK sends and reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import java

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PROGRAM = Path(__file__).with_name("Streams.java")
RUN_TIMEOUT_S = 300
EXPECTED = {
    "details": "true 24 [n] true",
    "list": "1 java_streams true",
    "stream": "java_streams 24 ACTIVE 1 null",
    "token": "null",
    "more": "true",
    "record 0": "PUT 1 [PUT n=5 at, PUT text=a at] was [] 0/0",
    "record 1": "UPDATE 1 [PUT n=7 at, PUT flag=true at, DELETE_ALL_VERSION text, DELETE_ONE_VERSION old at] "
    "was [PUT n=5 at] 0/0",
    "record 2": "DELETE 1 [] was [PUT n=7 at] 0/0",
    "record 3": "PUT 2 [PUT n=1 at] was [] 0/0",
    "record 4": "PUT 3 [PUT n=1 at] was [] 0/1",
    "times": "true 0",
    "end": "false true",
    "disabled": "false",
    "gone": "OTSTrimmedDataAccess 404 Requested stream data is already trimmed or does not exist.",
    "imported": "12 1",
    "failed": "1 12 OTSParameterInvalid",
    "exported": "[3, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]",
    "values": "b=false d=4.75 l=19 s=text 19 x=[19]",
    "matrix": "[18:18:true, 19:19:true] true",
    "nothing": "false",
    "plain": "DBT_PLAIN_BUFFER 11 null",
    "writer": "500 0 0",
}


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return java.answers(tmp_path_factory, PROGRAM, RUN_TIMEOUT_S)


def test_all_that_is_asked_is_answered(printed: dict[str, str]) -> None:
    assert list(printed) == list(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_streams(printed: dict[str, str], name: str) -> None:
    assert printed[name] == EXPECTED[name]
