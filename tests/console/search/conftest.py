"""A server whose table ``notes`` the embedded API made, and ``goods`` an SDK; ``things`` has fields of all kinds."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tablestore as ots
from support import searched_rows
from support.sdk import load, put
from support.searched_notes import NAMES, Remark, notes
from support.server import ServerProcess
from support.waiting import wait_until

import lutra
from lutra.embedding.models import open_model
from lutra.embedding.tfidf import TfidfEmbedder
from lutra.instance.engine import Engine


@pytest.fixture(scope="session")
def search_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory; texts and pictures have vectors of models that need nothing from the internet."""
    path = tmp_path_factory.mktemp("searched") / "data"
    texts = open_model("wordllama")
    seen = open_model("efficientnet-lite0")
    rows = notes()
    for row in rows[:4]:
        row["looks"] = seen.embed([row["photo"]])[0]
    with lutra.connect(path, instance="test") as db:
        fields: dict[str, Any] = {
            "text": lutra.Text(),
            "kind": str,
            "year": int,
            "at": dt.datetime,
            "good": bool,
            "place": lutra.GeoPoint,
            "small": lutra.Vector(3, "euclidean"),
            "looks": lutra.Vector(seen.dimension),
            "remarks": list[Remark],
            "photo": bytes,
        }
        db.create_table("notes", {"id": int}, fields).put_many(rows)
        db.create_table("bare", {"id": int})
        own = lutra.Vector(texts.dimension, embed="name", with_="wordllama")
        db.create_table("stories", {"id": int}, {"name": str, "meaning": own}).put_many(
            [{"id": number, "name": name} for number, name in enumerate(NAMES)]
        )
        words = TfidfEmbedder(NAMES, np.ones(len(NAMES), np.float32), np.eye(len(NAMES), 256, dtype=np.float32))
        words.save(path / "words.npz")
        of_words = lutra.Vector(256, embed="name", with_=f"tfidf:{path / 'words.npz'}")
        db.create_table("tales", {"id": int}, {"name": str, "meaning": of_words}).put_many(
            [{"id": number, "name": name} for number, name in enumerate(NAMES)]
        )
        letters = db.create_table("letters", {"name": str}, {"meaning": lutra.Vector(texts.dimension)})
        letters.put_many(
            [{"name": name, "meaning": vector} for name, vector in zip(NAMES, texts.embed(NAMES), strict=True)]
        )
    engine = Engine.open(path)
    try:
        searched_rows.fill(engine.instance("test"), searched_rows.rows_of(seed=3, count=40))
    finally:
        engine.close()
    return path


@pytest.fixture(scope="session")
def console_server(search_data: Path) -> Iterator[ServerProcess]:
    with ServerProcess(search_data) as server:
        _make_goods(server.client())
        yield server


def _make_goods(client: ots.OTSClient) -> None:
    """A table as an SDK makes it, with two indexes: vectors are text, keys of two kinds."""
    meta = ots.TableMeta("goods", [("shop", "STRING"), ("code", "BINARY")])
    client.create_table(meta, ots.TableOptions(-1, 1), ots.ReservedThroughput(ots.CapacityUnit(0, 0)))
    fields = [
        ots.FieldSchema("name", ots.FieldType.TEXT, index=True, analyzer=ots.AnalyzerType.SINGLEWORD),
        ots.FieldSchema("price", ots.FieldType.DOUBLE, index=True, enable_sort_and_agg=True),
        ots.FieldSchema(
            "v",
            ots.FieldType.VECTOR,
            index=True,
            vector_options=ots.VectorOptions(
                data_type=ots.VectorDataType.VD_FLOAT_32, dimension=2, metric_type=ots.VectorMetricType.VM_EUCLIDEAN
            ),
        ),
    ]
    client.create_search_index("goods", "goods_first", ots.SearchIndexMeta(fields))
    client.create_search_index("goods", "goods_other", ots.SearchIndexMeta(fields[1:2]))
    rows = [
        (
            [("shop", "north"), ("code", bytearray([number, 255]))],
            {"name": f"thing {number}", "price": number / 2, "v": json.dumps([number, 0])},
        )
        for number in range(5)
    ]
    load(client, "goods", rows)
    put(client, "goods", [("shop", "south"), ("code", bytearray(b""))], name="last thing", price=99.0)

    def total() -> int:
        query = ots.SearchQuery(ots.MatchAllQuery(), get_total_count=True)
        return int(client.search("goods", "goods_first", query).total_count)

    wait_until(lambda: total() == 6)
