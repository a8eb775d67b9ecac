"""Local transactions and atomic batches as the official Java SDK sends them; its own tests expect these answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import java

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PROGRAM = Path(__file__).with_name("Transactions.java")
RUN_TIMEOUT_S = 300
CONFLICT = "OTSRowOperationConflict 409 Data is being modified by the other request."
ENDED = "OTSSessionNotExist 404 Session not exist or may be timeout."
OUT_OF_RANGE = "Data out of scope of transaction. Transaction PartKey:a. Data PartKey:b"
BEYOND = "OTSDataOutOfRange Data out of scope of atomic. Atomic PartKey:0. Data PartKey:1"
FAILED = "OTSConditionCheckFail Condition check failed."
OPTIONS = "TimeToLive:-1, MaxVersions:1, MaxTimeDeviation:86400, AllowUpdate:{}, UpdateFullRow:{}"
EXPECTED = {
    "started": "true",
    "twice": CONFLICT,
    "committed": "done",
    "committed twice": ENDED,
    "aborted": "done",
    "aborted twice": ENDED,
    "no id to commit": "OTSParameterInvalid 400 TransactionID is invalid.",
    "no id to abort": "OTSParameterInvalid 400 TransactionID is invalid.",
    "seen inside": "11 [1=11 2=20 3=30 4=40]",
    "seen outside": "10 [1=10]",
    "another writer": CONFLICT,
    "another key": "done",
    "committed rows": "[1=11 2=20 3=30 4=40]",
    "seen before the abort": "[2=20 3=30 4=40 9=90]",
    "rows after the abort": "[1=11 2=20 3=30 4=40]",
    "beyond the key": "OTSDataOutOfRange 400 " + OUT_OF_RANGE,
    "a batch beyond": "done | OTSDataOutOfRange " + OUT_OF_RANGE,
    "two columns": "OTSParameterInvalid 400 StartLocalTransaction support only one primary key.",
    "no table": "OTSParameterInvalid 400 Invalid table name: ''.",
    "of rows": "done",
    "atomic": "done | done",
    "atomic beyond": " | ".join([BEYOND] * 3),
    "atomic with a condition": f"{FAILED} | {FAILED}",
    "not atomic": f"done | {FAILED}",
    "written": "[1=100 2=2]",
    "atomic inside": f"{FAILED} | {FAILED}",
    "rows inside": "[1=100 2=2]",
    "java_with": "32",
    "java_without": "OTSParameterInvalid 400 Try to call method using explicit transaction on "
    "explicit-transaction-disabled table.",
    "full rows": OPTIONS.format("true", "true"),
    "no updates": OPTIONS.format("false", "false"),
}


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return java.answers(tmp_path_factory, PROGRAM, RUN_TIMEOUT_S)


def test_all_that_is_asked_is_answered(printed: dict[str, str]) -> None:
    assert list(printed) == list(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_transactions(printed: dict[str, str], name: str) -> None:
    assert printed[name] == EXPECTED[name]
