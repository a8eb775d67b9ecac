"""Searches of every kind as the official Java SDK sends them, and what it reads in the answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import java

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PROGRAM = Path(__file__).with_name("Searches.java")
RUN_TIMEOUT_S = 300
EXPECTED = {
    "described": "k:KEYWORD fuzzy:FUZZY_KEYWORD l:LONG other:LONG third:LONG d:DOUBLE b:BOOLEAN t:TEXT tags:KEYWORD "
    "at:DATE g:GEO_POINT ip:IP flat:FLATTENED v:VECTOR items:NESTED json:JSON",
    "time to live": "-1",
    "term": "6 of 3 8 13 18 23 28",
    "terms": "2 of 1 2",
    "range": "3 of 3 4 5",
    "open range": "2 of 0 1",
    "dates": "3 of 25 26 27",
    "prefix": "11 of 2 20 21 22 23 24 25 26 27 28 29",
    "suffix": "3 of 7 17 27",
    "wildcard": "10 of 10 11 12 13 14 15 16 17 18 19",
    "match": "1 of 4",
    "at least": "1 of 7",
    "phrase": "10 of 2 5 8 11 14 17 20 23 26 29",
    "exists": "3 of 9 19 29",
    "bool": "2 of 2 4",
    "box": "3 of 3 4 5",
    "distance": "3 of 9 10 11",
    "polygon": "3 of 21 22 23",
    "network": "4 of 0 1 2 3",
    "flattened": "10 of 2 5 8 11 14 17 20 23 26 29",
    "object": "1 of 12",
    "search filter": "3 of 0 1 2",
    "total up to": "12",
    "no total": "-1 true",
    "collapse": "0 1 2 3 4",
    "highlight": "[otter <b>river</b> 1]",
    "neighbours": "4=1.000 2=0.200 6=0.200 0=0.059",
    "near enough": "4=1.000 3=0.500 5=0.500",
    "constant": "27=1.000 28=1.000",
    "dis max": "3=5.000 1=4.000 5=4.000 7=4.000",
    "field value": "29=14.500 28=14.000 27=13.500 26=13.000",
    "functions": "28=8.885 26=8.739 24=8.581 22=8.409",
    "decay by place": "7=1.000 6=0.500 8=0.500 0=0.000",
    "decay by time": "19=1.000 18=0.707 20=0.707 17=0.500",
    "decay by number": "9=1.000 10=1.000 11=1.000 8=0.841",
    "random": "true 30",
    "missing fields": "29 9 28 27 26",
    "missing value": "0 1 2 3 4 5 9 6 7 8 10 11",
    "missing first": "9 19 29 0",
    "distance sort": "20 21 19",
    "nested sort": "0 1 2",
    "pages": "[0 2 4 6 8 10 12, 14 16 18 20 22 24 26, 28]",
    "inner hits": "1:[a <em>river</em>] 0:[an <em>otter</em>]",
    "values": "28.0 0.0 3378.0 7.25 27 5",
    "percentiles": "50.0=-14 90.0=-2",
    "top rows": "29 28",
    "by field": "k1=3/9.0/1 k0=3/7.5/2 k4=2/6.5/1",
    "by range": "-Infinity..3.0=3 3.0..Infinity=8",
    "by distance": "0.0..300000.0=3 300000.0..Infinity=9",
    "by histogram": "1=5 5=4 9=2 -3=1",
    "by week": "1704038400000=7 1704643200000=5",
    "by cell": "s0=12",
    "by both": "[s1, s2] [k0, 0]=1 [k0, 5]=1 [k0, 10]=1 true",
    "scan": "1 [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28]",
    "error": "OTSParameterInvalid 400 [term query] field: never does not exist",
}


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return java.answers(tmp_path_factory, PROGRAM, RUN_TIMEOUT_S)


def test_all_that_is_asked_is_answered(printed: dict[str, str]) -> None:
    assert list(printed) == list(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_searches(printed: dict[str, str], name: str) -> None:
    assert printed[name] == EXPECTED[name]
