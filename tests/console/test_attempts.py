"""Who guesses keys waits, longer each time."""

from __future__ import annotations

from lutra.console import attempts
from lutra.console.attempts import Attempts


def test_pauses_double_up_to_a_bound_and_end() -> None:
    now_s = 0.0
    tries = Attempts(5, lambda: now_s)
    for _ in range(4):
        tries.wrong("a")
    assert tries.pause_s("a") == 0
    pauses = []
    for _ in range(12):
        tries.wrong("a")
        pauses.append(tries.pause_s("a"))
        now_s += pauses[-1]
        assert tries.pause_s("a") == 0, "after its pause a key is looked at"
    assert pauses[:4] == [2, 4, 8, 16]
    assert max(pauses) == 300
    assert tries.pause_s("b") == 0, "others do not wait"
    tries.right("a")
    tries.wrong("a")
    assert tries.pause_s("a") == 0


def test_what_was_wrong_long_ago_is_forgotten() -> None:
    now_s = 0.0
    tries = Attempts(1, lambda: now_s)
    tries.wrong("a")
    now_s = 4_000.0
    tries.wrong("a")
    assert tries.pause_s("a") == 2, "as if it were the first"


def test_addresses_are_bounded(monkeypatch: object) -> None:
    tries = Attempts(1)
    for number in range(attempts._ADDRESSES_MAX + 10):
        tries.wrong(str(number))
    assert len(tries._wrong) == attempts._ADDRESSES_MAX
