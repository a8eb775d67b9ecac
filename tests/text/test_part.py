"""One column's words, answered by buffer and by segment."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from support.text_sections import segment_of

from lutra.kernels.blocks import BlockCache
from lutra.model.indexes import FieldSchema, FieldType
from lutra.text.column import TextColumn
from lutra.text.part import TextPart, best

FIELD = FieldSchema("t", FieldType.TEXT)
TEXTS = ["the quick brown fox", "the lazy dog and the fox", "", "brown brown dog"]


def column_of(texts: list[str | None]) -> TextColumn:
    column = TextColumn(FIELD)
    for doc, text in enumerate(texts):
        assert text is None or column.stage(doc, text)
    column.publish()
    return column


@pytest.fixture(params=["buffer", "segment"])
def part(request: pytest.FixtureRequest, tmp_path: Path) -> TextPart:
    view = column_of([*TEXTS]).view(len(TEXTS))
    return view if request.param == "buffer" else segment_of([view], BlockCache(1 << 20), tmp_path / "section")


def test_the_score_is_that_of_the_formula(part: TextPart) -> None:
    statistics = part.statistics(["the", "fox", "nobody"])
    assert statistics.frequencies.tolist() == [2, 2, 0]
    assert (statistics.documents, statistics.tokens) == (3, 13)
    docs, scores = part.topk(["the", "fox", "nobody"], statistics.idf, statistics.average_length, 1, 10)
    idf = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))

    def score(frequency: int, length: int) -> float:
        return idf * 2.2 * frequency / (frequency + 1.2 * (0.25 + 0.75 * length / (13 / 3)))

    assert docs.tolist() == [1, 0]
    assert scores.tolist() == pytest.approx([score(2, 6) + score(1, 6), 2 * score(1, 4)], abs=1e-9)
    assert part.scores(["the", "fox"], statistics.idf[:2], statistics.average_length, np.arange(4)).tolist() == [
        pytest.approx(2 * score(1, 4)),
        pytest.approx(score(2, 6) + score(1, 6)),
        0,
        0,
    ]


def test_how_many_documents_match(part: TextPart) -> None:
    assert part.exists().mask().count == 4
    assert part.matches(["fox", "dog"], 1).count == 3
    assert part.matches(["fox", "dog"], 2).count == 1
    assert part.phrase(["brown", "fox"], [0, 1]).count == 1
    assert part.phrase(["fox", "brown"], [0, 1], 1).count == 0
    assert part.phrase(["fox", "brown"], [0, 1], 2).count == 1
    assert part.phrase(["brown", "brown"], [0, 1]).count == 1


def test_parts_share_what_they_have_found(tmp_path: Path) -> None:
    first, second = column_of([*TEXTS]).view(4), column_of(["fox", "dog"]).view(2)
    statistics = first.statistics(["fox"]) + second.statistics(["fox"])
    (one, _, _), (two, scores, _) = best(
        [second, first], [None, None], ["fox"], statistics.idf, statistics.average_length, 1, 1
    )
    assert one.tolist() == [0]
    assert two.tolist() == [], "less than the best of the part before"
    assert scores.tolist() == []


def test_a_text_that_is_no_unicode_is_left_out_of_an_array_alone() -> None:
    column = TextColumn(FieldSchema("t", FieldType.TEXT, is_array=True))
    assert column.stage(0, '["brown fox", "\\ud800 dog", "lazy"]')
    assert column.stage(1, '["\\ud800"]')
    assert not column.stage(2, '["dog", 1]')
    assert column.settle() == 2
    assert column.settle() == 0
    column.publish()
    view = column.view(3)
    assert view.exists().mask().bools().tolist() == [True, False, False]
    assert [view.statistics([word]).frequencies.tolist() for word in ("lazy", "dog")] == [[1], [0]]
