"""Random writes against a plain model: the table, and the index on it, hold what the model holds."""

from __future__ import annotations

from collections import Counter
from typing import Any

import tablestore as ots
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.sdk import EXPECT_EXIST, EXPECT_NOT_EXIST, IGNORE, invalid, is_accepted, values, write_batch
from support.searching import ALL, columns_of, field, search
from support.tables import TableMaker
from tablestore import FieldType

Columns = dict[str, int]
Model = dict[str, Columns]

names = st.sampled_from(["a", "b", "c", "d"])
columns = st.dictionaries(st.sampled_from(["m", "n"]), st.integers(-3, 3))
guards = st.sampled_from([IGNORE, IGNORE, EXPECT_EXIST, EXPECT_NOT_EXIST])


def _put(name: str, guard: ots.Condition, given_columns: Columns) -> ots.PutRowItem:
    return ots.PutRowItem(ots.Row([("id", name)], list(given_columns.items())), guard)


def _update(name: str, guard: ots.Condition, given_columns: Columns, removed: str, added: int) -> ots.UpdateRowItem:
    changes = {"PUT": list(given_columns.items()), "DELETE_ALL": [removed], "INCREMENT": [("count", added)]}
    return ots.UpdateRowItem(ots.Row([("id", name)], changes), guard)


def _delete(name: str, guard: ots.Condition) -> ots.DeleteRowItem:
    return ots.DeleteRowItem(ots.Row([("id", name)]), guard)


writes = st.one_of(
    st.builds(_put, names, guards, columns),
    st.builds(_update, names, guards, columns, st.sampled_from(["m", "n", "count"]), st.integers(-2, 2)),
    st.builds(_delete, names, guards),
)


def _apply(model: Model, item: ots.RowItem) -> bool:
    """Whether the write is let through; if so, the model has it."""
    name = item.row.primary_key[0][1]
    if (item.condition is EXPECT_EXIST and name not in model) or (item.condition is EXPECT_NOT_EXIST and name in model):
        return False
    if isinstance(item, ots.DeleteRowItem):
        model.pop(name, None)
    elif isinstance(item, ots.PutRowItem):
        model[name] = dict(item.row.attribute_columns)
    else:
        row = model.setdefault(name, {})
        changes: dict[str, list[Any]] = item.row.attribute_columns
        row.update(changes["PUT"])
        row.pop(changes["DELETE_ALL"][0], None)
        [(column, added)] = changes["INCREMENT"]
        row[column] = row.get(column, 0) + added
    return True


def _send(client: ots.OTSClient, table: str, item: ots.RowItem) -> bool:
    if isinstance(item, ots.PutRowItem):
        return is_accepted(lambda: client.put_row(table, item.row, item.condition))
    if isinstance(item, ots.UpdateRowItem):
        return is_accepted(lambda: client.update_row(table, item.row, item.condition))
    return is_accepted(lambda: client.delete_row(table, item.row.primary_key, item.condition))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.one_of(writes, st.lists(writes, min_size=2, max_size=6)), max_size=12))
def test_the_table_and_its_index_hold_what_was_written(
    sync_client: ots.OTSClient, steps: list[ots.RowItem | list[ots.RowItem]]
) -> None:
    make = TableMaker(sync_client)
    table = make.table()
    index = make.index(table, [field(name, FieldType.LONG) for name in ("m", "n", "count")])
    model: Model = {}
    for step in steps:
        if isinstance(step, list):
            counts = Counter(item.row.primary_key[0][1] for item in step)
            if any(counts[item.row.primary_key[0][1]] > 1 and item.condition is not IGNORE for item in step):
                with invalid(mentions="Repeated rows"):
                    write_batch(sync_client, table, step)
                continue
            response = write_batch(sync_client, table, step)
            items = {
                item.index: item.is_ok
                for group in (response.table_of_put, response.table_of_update, response.table_of_delete)
                for item in group[table]
            }
            assert [items[position] for position in range(len(step))] == [_apply(model, item) for item in step]
        else:
            assert _send(sync_client, table, step) == _apply(model, step)

    _, _, rows, _ = sync_client.get_range(table, "FORWARD", [("id", ots.INF_MIN)], [("id", ots.INF_MAX)])
    assert {row.primary_key[0][1]: values(row) for row in rows} == model
    make.wait_synced(table, index)
    found = search(sync_client, table, index, ots.MatchAllQuery(), columns=ALL)
    assert {row[0][0][1]: columns_of(row) for row in found.rows} == model
    for number in range(-3, 4):
        found = search(sync_client, table, index, ots.TermQuery("n", number))
        expected = sorted(name for name, row in model.items() if row.get("n") == number)
        assert [key[0][1] for key, _ in found.rows] == expected
    make.clean_up()
