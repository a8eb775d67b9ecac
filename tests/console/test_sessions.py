"""Sign-ins are bounded, expire and end."""

from __future__ import annotations

import time

from lutra.console.sessions import Sessions


def test_the_oldest_of_too_many_ends() -> None:
    sessions = Sessions(60, 2)
    cookies = [sessions.begin("id")[1] for _ in range(3)]
    assert [sessions.find(cookie) is not None for cookie in cookies] == [False, True, True]


def test_a_sign_in_expires() -> None:
    sessions = Sessions(0, 10)
    _, cookie = sessions.begin("id")
    time.sleep(0.01)
    assert sessions.find(cookie) is None


def test_another_process_knows_nothing_of_it() -> None:
    _, cookie = Sessions(60, 10).begin("id")
    assert Sessions(60, 10).find(cookie) is None
