"""Secondary indexes as the official Java SDK sends and reads them; its own tests expect the texts of the refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import java

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PROGRAM = Path(__file__).with_name("SecondaryIndexes.java")
RUN_TIMEOUT_S = 300
QUOTA = "OTSParameterInvalid 400 Number of index per table exceeds the quota:5."
KEY_COLUMNS = "OTSParameterInvalid 400 The number of primary key columns must be in range: [1, 4] in index."
EXPECTED = {
    "six with a table": QUOTA,
    "five key columns": KEY_COLUMNS,
    "no key column": KEY_COLUMNS,
    "33 columns": "OTSParameterInvalid 400 The number of attribute columns must be in range: [0, 32] in index.",
    "33 defined": "OTSParameterInvalid 400 The number of defined columns must be in range: [0, 32].",
    "no table, five": KEY_COLUMNS,
    "no table": "OTSObjectNotExist 404 Requested table does not exist.",
    "32 columns": "done",
    "five": "done",
    "a sixth": QUOTA,
    "deleted": "done",
    "local first": "OTSParameterInvalid 400 The first primary key column of local index 'x' must be that of its table, "
    "'uid'.",
    "again": "OTSObjectAlreadyExist 409 Requested index 'local' already exists, or a table of that name.",
    "described": "with_table[d0][d1]IT_GLOBAL_INDEXIUM_ASYNC_INDEX local[uid, d1][d0]IT_LOCAL_INDEXIUM_SYNC_INDEX "
    "global[gid][]IT_GLOBAL_INDEXIUM_ASYNC_INDEX",
    "listed": "[java_indexed, wide]",
    "catalog": "global[gid, uid] local[uid, d1, gid] with_table[d0, uid, gid]",
    "local": "u0,w0,0;d0=v9 u0,w2,2;d0=v7 u0,w4,4;d0=v5 u1,w1,1;d0=v8 u1,w3,3;d0=v6 u1,w5,5;d0=v4",
    "backward": "u1,w5,5;d0=v4 u1,w3,3;d0=v6 u1,w1,1;d0=v8 u0,w4,4;d0=v5 u0,w2,2;d0=v7 u0,w0,0;d0=v9",
    "global": "0,u0 1,u1 2,u0 3,u1 4,u0 5,u1",
    "with table": "v4,u1,5;d1=w5 v5,u0,4;d1=w4 v6,u1,3;d1=w3 v7,u0,2;d1=w2 v8,u1,1;d1=w1 v9,u0,0;d1=w0",
    "one row": "u1,w3,3;d0=v6",
    "written": "OTSParameterInvalid 400 'local' is a secondary index, which can be read only: use its table.",
    "dropped": "OTSObjectNotExist 404 Requested table does not exist.",
    "dropped twice": "OTSObjectNotExist 404 Requested index 'local' does not exist on table 'java_indexed'.",
    "left": "[with_table, global]",
}


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return java.answers(tmp_path_factory, PROGRAM, RUN_TIMEOUT_S)


def test_all_that_is_asked_is_answered(printed: dict[str, str]) -> None:
    assert list(printed) == list(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_indexes(printed: dict[str, str], name: str) -> None:
    assert printed[name] == EXPECTED[name]
