"""A header says what share of the nearest a search, or an index from now on, is to find."""

from __future__ import annotations

import json
from typing import Any

import pytest
import tablestore as ots
from support.sdk import put
from support.searching import field, packed, search, vector_field
from support.tables import TableMaker

TARGET = "x-lutra-recall-target"
VECTORS = vector_field("v", 2, ots.VectorMetricType.VM_EUCLIDEAN)


class Headers:
    """What goes with each request of a client, and the explanation of its last search."""

    def __init__(self, client: ots.OTSClient, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: dict[str, str] = {}
        self.explanation = ""
        self._send_receive = client.connection.send_receive
        monkeypatch.setattr(client.connection, "send_receive", self._send)

    def _send(self, path: str, headers: dict[str, str], body: bytes) -> Any:
        answer = self._send_receive(path, headers | {"x-lutra-explain": "1"} | self.asked, body)
        self.explanation = {name.lower(): value for name, value in answer[2].items()}.get("x-lutra-explain", "")
        return answer


@pytest.fixture
def headers(sync_client: ots.OTSClient, monkeypatch: pytest.MonkeyPatch) -> Headers:
    return Headers(sync_client, monkeypatch)


def target_of(client: ots.OTSClient, table: str, index: str, headers: Headers, **more: Any) -> float | None:
    """By which a search looked for neighbours."""
    search(client, table, index, ots.KnnVectorQuery("v", top_k=1, float32_query_vector=[1.0, 0.0], **more), limit=1)
    told = json.dumps(json.loads(headers.explanation))
    found = told.partition('"recall_target": ')[2]
    return float(found.partition("}")[0].partition(",")[0]) if found else None


@pytest.mark.one_process
def test_a_search_and_an_index_say_it(
    sync_client: ots.OTSClient, make: TableMaker, table: str, headers: Headers
) -> None:
    index = make.index(table, [VECTORS, field("n", ots.FieldType.LONG)])
    put(sync_client, table, [("id", "a")], v=packed([1, 0]), n=1)
    make.wait_synced(table, index)
    assert target_of(sync_client, table, index, headers) == 0.95
    headers.asked = {TARGET: "0.8"}
    assert target_of(sync_client, table, index, headers) == 0.8
    headers.asked = {TARGET: "0.99"}
    sync_client.update_search_index(table, index, ots.SearchIndexMeta([], time_to_live=-1))
    headers.asked = {}
    assert target_of(sync_client, table, index, headers) == 0.99
    assert target_of(sync_client, table, index, headers, num_candidates=20) is None


@pytest.mark.parametrize("said", ["0.2", "1.5", "nan", "much", ""])
def test_what_is_no_share_is_refused(
    sync_client: ots.OTSClient, make: TableMaker, table: str, headers: Headers, said: str
) -> None:
    index = make.index(table, [VECTORS])
    headers.asked = {TARGET: said}
    with pytest.raises(ots.OTSServiceError) as failed:
        search(sync_client, table, index, ots.MatchAllQuery())
    assert failed.value.get_error_code() == "OTSParameterInvalid"
    assert "recall_target" in failed.value.get_error_message()
