"""Vector columns against brute force."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.kernels.row_mask import RowMask
from lutra.model.indexes import FieldSchema, FieldType, Metric, VectorOptions
from lutra.vectors import column as column_module
from lutra.vectors.column import VectorColumn, VectorView

DIMENSION = 3
ELEMENT = st.integers(-4, 4).map(float)
VECTOR = st.lists(ELEMENT, min_size=DIMENSION, max_size=DIMENSION)


def new_column(metric: Metric = Metric.EUCLIDEAN) -> VectorColumn:
    return VectorColumn(FieldSchema("v", FieldType.VECTOR, vector=VectorOptions(DIMENSION, metric)))


def add(column: VectorColumn, first: int, batch: list[list[float] | None]) -> None:
    for doc, vector in enumerate(batch, first):
        if vector is not None:
            value = json.dumps(vector) if doc % 2 else np.array(vector, "<f4").tobytes()
            assert column.stage(doc, value)
    assert column.settle() == 0
    column.publish()


def distance(metric: Metric, a: list[float], b: list[float]) -> float:
    x, y = np.array(a), np.array(b)
    if metric is Metric.EUCLIDEAN:
        return float(((x - y) ** 2).sum())
    if metric is Metric.DOT_PRODUCT:
        return float(-(x @ y))
    norm = np.linalg.norm(x) * np.linalg.norm(y)
    return 1.0 - float(x @ y / norm) if norm else 1.0


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_module, "BLOCK_BYTES", 4 * DIMENSION * 5)
    monkeypatch.setattr(column_module, "_FIRST_ROWS", 2)


@settings(max_examples=200)
@given(
    st.lists(st.lists(st.none() | VECTOR, max_size=8), max_size=4),
    st.sampled_from(Metric),
    VECTOR,
    st.integers(1, 10),
    st.data(),
)
@pytest.mark.usefixtures("small_blocks")
def test_topk(
    batches: list[list[list[float] | None]], metric: Metric, query: list[float], k: int, data: st.DataObject
) -> None:
    column, model = new_column(metric), []
    for batch in batches:
        add(column, len(model), batch)
        model += batch
    mask = data.draw(st.none() | st.lists(st.booleans(), min_size=len(model), max_size=len(model)))
    check_topk(column.view(len(model)), model, metric, query, k, mask)


def check_topk(
    view: VectorView,
    model: list[list[float] | None],
    metric: Metric,
    query: list[float],
    k: int,
    mask: list[bool] | None,
) -> None:
    among = None if mask is None else RowMask(np.array(mask, bool))
    docs, distances, _ = view.topk(np.array(query, np.float32), k, among)
    allowed = {d: v for d, v in enumerate(model) if v is not None and (mask is None or mask[d])}
    expected = sorted(distance(metric, query, v) for v in allowed.values())[:k]
    assert distances.tolist() == pytest.approx(expected, abs=1e-5)
    assert len(set(docs.tolist())) == len(docs)
    for doc, near in zip(docs.tolist(), distances.tolist(), strict=True):
        assert near == pytest.approx(distance(metric, query, allowed[doc]), abs=1e-5)
    assert view.count(among) == len(allowed)
    assert view.exists().mask().bools().tolist() == [v is not None for v in model]


@given(st.lists(st.none() | VECTOR, max_size=20), VECTOR, st.data())
@pytest.mark.usefixtures("small_blocks")
def test_compacted(model: list[list[float] | None], query: list[float], data: st.DataObject) -> None:
    column = new_column()
    add(column, 0, model)
    kept = data.draw(st.lists(st.booleans(), min_size=len(model), max_size=len(model)))
    renumber = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)
    before = column.view(len(model))
    smaller = column.compacted(renumber)
    rest = [vector for vector, keep in zip(model, kept, strict=True) if keep]
    add(smaller, len(rest), [query])
    rest.append(query)
    check_topk(smaller.view(len(rest)), rest, Metric.EUCLIDEAN, query, 3, None)
    check_topk(before, model, Metric.EUCLIDEAN, query, 3, None)


@pytest.mark.usefixtures("small_blocks")
def test_view_stays_as_it_was() -> None:
    column = new_column()
    add(column, 0, [[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    view = column.view(2)
    add(column, 2, [[0.0, 0.0, 0.0]] * 20)
    docs, distances, _ = view.topk(np.zeros(3, np.float32), 5)
    assert docs.tolist() == [0, 1]
    assert distances.tolist() == [1.0, 4.0]


def test_values_that_do_not_fit() -> None:
    column = new_column()
    assert not column.stage(0, 1.0)
    assert not column.stage(0, b"123")
    for doc, value in enumerate(["[1,2]", "[1,2,3,4]", "[1,2,NaN]", "x", np.array([1, 2, np.inf], "<f4").tobytes()]):
        assert column.stage(doc, value)
    assert column.stage(7, "[1,2,3]")
    assert column.settle() == 5
    column.publish()
    view = column.view(8)
    assert view.exists().mask().ids().tolist() == [7]
    found: npt.NDArray[np.int64] = view.topk(np.zeros(3, np.float32), 9)[0]
    assert found.tolist() == [7]


def test_empty() -> None:
    docs, distances, _ = new_column().view(0).topk(np.zeros(3, np.float32), 5)
    assert docs.tolist() == distances.tolist() == []
