from __future__ import annotations

import os
import threading

import numpy as np
import pytest
from support.embedders import Colours, Words

from lutra.embedding.embedder import EmbeddingError
from lutra.embedding.queries import QueryVectors, query_vectors


def test_the_last_are_kept() -> None:
    kept, model = QueryVectors(3), Words()
    found = kept.of(model, model.embed_query, ["sea", "river", "sea"])
    np.testing.assert_array_equal(found, Words().embed_query(["sea", "river", "sea"]))
    assert model.queries == ["sea", "river"], "the same words are one"
    kept.of(model, model.embed_query, ["fish"])
    kept.of(model, model.embed_query, ["sea"])
    kept.of(model, model.embed_query, ["song"])
    assert model.queries == ["sea", "river", "fish", "song"]
    kept.of(model, model.embed_query, ["sea", "river"])
    assert model.queries == ["sea", "river", "fish", "song", "river"], "the one that was used last stays"
    assert kept.of(model, model.embed_query, []).shape == (0, 4)


def test_models_and_kinds_are_told_apart() -> None:
    kept, one, other, colours = QueryVectors(), Words(), Words(), Colours()
    kept.of(one, one.embed_query, ["sea"])
    kept.of(other, other.embed_query, ["sea"])
    assert other.queries == ["sea"]
    np.testing.assert_array_equal(kept.of(colours, colours.embed, [b"red"]), Colours().embed([b"red"]))
    np.testing.assert_array_equal(kept.of(colours, colours.embed_texts, ["blue"]), Colours().embed([b"blue"]))


def test_what_fails_is_not_kept() -> None:
    kept, model = QueryVectors(), Words()
    model.failure = ValueError("no")
    with pytest.raises(EmbeddingError, match="ValueError: no"):
        kept.of(model, model.embed_query, ["sea"])
    model.failure = None
    assert kept.of(model, model.embed_query, ["sea"]).shape == (1, 4)


def test_a_forked_process_does_not_wait_for_the_parents_threads() -> None:
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with query_vectors._lock:
            held.set()
            go_on.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    child = os.fork()
    if child == 0:
        model = Words()
        os._exit(0 if query_vectors.of(model, model.embed_query, ["sea"]).shape == (1, 4) else 1)
    go_on.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
