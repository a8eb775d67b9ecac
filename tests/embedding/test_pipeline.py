from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.embedding.embedder import Batching, EmbeddingBusy, EmbeddingError, ModelUnusable
from lutra.embedding.pipeline import Pipeline
from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import ParameterInvalid, RequestTimeout

FOUR_AT_ONCE = Batching(4, 100, threads=2)


class Model:
    """Vectors of a text's length; fails for texts that say so. Remembers its calls."""

    name, dimension = "model-of-tests", 2

    def __init__(self, batching: Batching = FOUR_AT_ONCE) -> None:
        self.batching = batching
        self.calls: list[list[str]] = []
        self.busy: list[float | None] = []
        self.lock = threading.Lock()

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        with self.lock:
            self.calls.append(list(texts))
            if self.busy:
                raise EmbeddingBusy("too many requests", self.busy.pop(0))
        for text in texts:
            if text.startswith("bad"):
                raise EmbeddingError(f"cannot read {text}")
            if text.startswith("crash"):
                raise ZeroDivisionError(text)
            if text.startswith("unusable"):
                raise ModelUnusable("the key is refused")
        return np.array([[len(text), np.nan if text.startswith("nan") else 1] for text in texts], dtype=np.float32)

    def embed_query(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return self.embed(texts)


def run(model: Model, texts: Sequence[str], **options: float) -> list[tuple[int, float | str]]:
    pipeline = Pipeline(model, first_pause_s=options.get("first_pause_s", 0.01), attempts_max=4)
    found = []
    for one in pipeline.run(enumerate(texts)):
        assert (one.vector is None) != (one.error is None)
        found.append((one.key, str(one.error) if one.vector is None else float(one.vector[0])))
    return found


def test_vectors_come_in_order_and_calls_are_bounded() -> None:
    model = Model(Batching(4, 20, threads=2))
    texts = ["x" * (number % 7) for number in range(50)] + ["y" * 30]
    assert run(model, texts) == [(number, float(len(text))) for number, text in enumerate(texts)]
    assert sorted(text for call in model.calls for text in call) == sorted(texts)
    assert all(len(call) <= 4 and (sum(map(len, call)) <= 20 or len(call) == 1) for call in model.calls)
    assert run(model, []) == []


@settings(deadline=None, max_examples=60)
@given(
    kinds=st.lists(st.sampled_from(["", "bad", "crash", "nan"]), max_size=40),
    items=st.integers(1, 9),
    threads=st.integers(1, 4),
)
def test_whoever_is_at_fault_is_alone(kinds: list[str], items: int, threads: int) -> None:
    texts = [f"{kind}{number}" for number, kind in enumerate(kinds)]
    found = run(Model(Batching(items, 1_000, threads)), texts)
    assert [key for key, _ in found] == list(range(len(texts)))
    for (_, outcome), kind, text in zip(found, kinds, texts, strict=True):
        if not kind:
            assert outcome == len(text)
        elif kind == "nan":
            assert outcome == "the model 'model-of-tests' gave numbers that are not finite"
        else:
            assert isinstance(outcome, str)
            assert text in outcome


def test_a_busy_model_is_tried_again_as_it_asks() -> None:
    model = Model(Batching(2, 100))
    model.busy = [None, 0.02, None]
    assert run(model, ["a", "bb", "ccc"]) == [(0, 1.0), (1, 2.0), (2, 3.0)]
    assert model.calls == [["a", "bb"]] * 4 + [["ccc"]]


def test_a_model_that_stays_busy_ends_it() -> None:
    model = Model(Batching(1, 100))
    pipeline = Pipeline(model, attempts_max=3, first_pause_s=0.01)
    assert [each.key for each in pipeline.run([(0, "a"), (1, "bb")])] == [0, 1]
    model.busy = [None] * 3
    with pytest.raises(EmbeddingBusy, match="too many requests"):
        list(Pipeline(model, attempts_max=3, first_pause_s=0.01).run([(0, "a")]))
    assert model.busy == []


def test_an_unusable_model_ends_it_and_what_came_before_is_right() -> None:
    model = Model(Batching(1, 100))
    found = Pipeline(model).run(enumerate(["a", "bb", "unusable", "d"]))
    assert [next(found).key, next(found).key] == [0, 1]
    with pytest.raises(ModelUnusable, match="the key is refused"):
        next(found)


@pytest.mark.parametrize("shape", [(1, 3), (2, 2), (2,), ()])
def test_vectors_of_another_shape_end_it(shape: tuple[int, ...]) -> None:
    class Wrong(Model):
        def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
            return np.zeros(shape, dtype=np.float32)

    with pytest.raises(ModelUnusable, match=r"gave an array of shape .*, not \[1, 2\]"):
        list(Pipeline(Wrong()).run([(0, "a")]))


def test_no_more_is_taken_than_is_under_way() -> None:
    taken = 0

    def texts() -> Iterator[tuple[int, str]]:
        nonlocal taken
        for number in range(1_000):
            taken = number + 1
            yield number, "text"

    told: list[int] = []
    for count, _ in enumerate(Pipeline(Model(Batching(5, 100, threads=2))).run(texts(), told.append), 1):
        # Two batches run, one waits, one comes out and one is being filled, whose last item is the next one's first.
        assert taken - count <= 5 * 5 + 1
    assert (taken, told[-1], told == sorted(told)) == (1_000, 1_000, True)


def test_what_items_raise_ends_it() -> None:
    def texts() -> Iterator[tuple[int, str]]:
        yield 0, "a"
        raise ParameterInvalid("of the rows")

    with pytest.raises(ParameterInvalid, match="of the rows"):
        list(Pipeline(Model()).run(texts()))


def test_whoever_leaves_it_leaves_no_thread_behind() -> None:
    model = Model(Batching(1, 100, threads=3))
    model.busy = [None] * 100
    found = Pipeline(model, first_pause_s=30).run((number, "a") for number in range(100))
    deadline = Deadline(0.3)
    with working_for(deadline), pytest.raises(RequestTimeout):
        next(found)
    for thread in threading.enumerate():
        if thread.name == "lutra-embed":
            thread.join(60)
            assert not thread.is_alive()
