"""Indexes that are made, written to and removed at any moment: what goes on beside that has nothing to complain of."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.engines import EAGER, open_engine

from lutra.model.indexes import FieldSchema, FieldType, IndexSchema, VectorOptions
from lutra.model.rows import CellOperation, ChangeKind, RowChange
from lutra.model.schema import KeyColumn, TableSchema
from lutra.model.values import ColumnType

SCHEMA = IndexSchema((FieldSchema("n", FieldType.LONG), FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(2))))
CHANGES = [RowChange(ChangeKind.PUT, (("id", key),), [("n", key, None, CellOperation.PUT)]) for key in range(50)]
ROUNDS = 40


def test_nothing_is_told_of_an_index_that_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = random.Random(5)
    with caplog.at_level(logging.WARNING):
        engine = open_engine(tmp_path, policy=replace(EAGER, flush_age_s=0.01))
        try:
            engine.create_instance("made")
            instance = engine.instance("made")
            for number in range(ROUNDS):
                name = f"t{number}"
                instance.tables.create(TableSchema(name, (KeyColumn("id", ColumnType.INTEGER),)))
                instance.create_search_index(name, "x", SCHEMA)
                instance.tables.write_batch([(name, CHANGES)])
                time.sleep(rng.random() * 0.08)
                instance.delete_search_index(name, "x")
                instance.delete_table(name)
        finally:
            engine.close()
    assert [record.getMessage() for record in caplog.records] == []
