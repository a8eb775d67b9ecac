"""Run by the pytest of an environment that has tablestore-for-agent-memory; see ``test_agent_memory.py``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import tablestore as ots
from awaited import Awaited
from tablestore_for_agent_memory.base.base_memory_store import Message, Session
from tablestore_for_agent_memory.base.common import MetaType, Order
from tablestore_for_agent_memory.base.filter import Filters
from tablestore_for_agent_memory.memory.async_memory_store import AsyncMemoryStore
from tablestore_for_agent_memory.memory.memory_store import MemoryStore
from waiting import wait_until

Store = Any
USERS, SESSIONS = 3, 60
META = {
    "kind": MetaType.STRING,
    "number": MetaType.INTEGER,
    "share": MetaType.DOUBLE,
    "is_new": MetaType.BOOLEAN,
    "raw": MetaType.BINARY,
}
FIELDS = [
    ots.FieldSchema("kind", ots.FieldType.KEYWORD),
    ots.FieldSchema("number", ots.FieldType.LONG),
    ots.FieldSchema("share", ots.FieldType.DOUBLE),
    ots.FieldSchema("is_new", ots.FieldType.BOOLEAN),
]
_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=["sync", "async"])
def make(request: pytest.FixtureRequest, where: dict[str, str]) -> Iterator[Callable[[], Store]]:
    access = (where["endpoint"], where["access_key_id"], where["access_key_secret"], where["instance_name"])
    made: list[Store] = []

    def make_store() -> Store:
        number = f"{request.param}_{next(_numbers)}"
        options = {
            "session_table_name": f"session_{number}",
            "session_secondary_index_name": f"session_secondary_{number}",
            "session_secondary_index_meta": dict(META),
            "session_search_index_name": f"session_search_{number}",
            "session_search_index_schema": list(FIELDS),
            "message_table_name": f"message_{number}",
            "message_secondary_index_name": f"message_secondary_{number}",
            "message_search_index_name": f"message_search_{number}",
            "message_search_index_schema": list(FIELDS),
        }
        if request.param == "sync":
            store = MemoryStore(ots.OTSClient(*access, retry_policy=ots.WriteRetryPolicy()), **options)
        else:
            store = Awaited(lambda: AsyncMemoryStore(ots.AsyncOTSClient(*access), **options))
        store.init_table()
        made.append(store)
        return store

    yield make_store
    for store in made:
        store._delete_table()
        if isinstance(store, Awaited):
            store.end()


def metadata(number: int) -> dict[str, Any]:
    return {
        "kind": ["chat", "tool", "聊天"][number % 3],
        "number": number,
        "share": number / SESSIONS,
        "is_new": number % 2 == 0,
        "raw": bytearray(f"{number} 中国", "utf-8"),
    }


def session(number: int) -> Session:
    """Times come twice, and in another order than ids."""
    user = f"user {number % USERS}"
    return Session(
        user, f"session {number:02d}", update_time=1_000 - 7 * (number // 2) % 100, metadata=metadata(number)
    )


def message(number: int) -> Message:
    about = "otters by the river" if number % 4 == 0 else "tea in the morning"
    return Message(
        f"session {number % USERS}",
        f"message {number:02d}",
        create_time=500 + number // 2,
        content=f"{about} {number}",
        metadata=metadata(number),
    )


ALL = range(SESSIONS)


@pytest.fixture(scope="module")
def store(make: Callable[[], Store]) -> Store:
    filled = make()
    for number in ALL:
        filled.put_session(session(number))
        filled.put_message(message(number))
    return filled


def test_tables_and_indexes_are_made_once(make: Callable[[], Store]) -> None:
    made = make()
    made.init_table()
    made.put_session(session(0))
    made.init_table()
    assert made.get_session("user 0", "session 00") == session(0)


def test_a_session(make: Callable[[], Store]) -> None:
    made = make()
    one = session(4)
    made.put_session(one)
    assert made.get_session(one.user_id, one.session_id) == one
    assert list(made.list_recent_sessions(one.user_id)) == [one]
    one.metadata["kind"] = "changed"
    one.update_time = 5_000
    made.update_session(one)
    assert made.get_session(one.user_id, one.session_id) == one
    assert list(made.list_recent_sessions(one.user_id)) == [one]
    made.delete_session(one.user_id, one.session_id)
    assert made.get_session(one.user_id, one.session_id) is None
    assert list(made.list_recent_sessions(one.user_id)) == []


def test_a_message(make: Callable[[], Store]) -> None:
    """Without its time it is found by the secondary index."""
    made = make()
    one = message(4)
    made.put_message(one)
    assert made.get_message(one.session_id, one.message_id) == one
    assert made.get_message(one.session_id, one.message_id, one.create_time) == one
    assert made.get_message(one.session_id, one.message_id, 1) is None
    assert made.get_message(one.session_id, "another") is None
    changed = Message(one.session_id, one.message_id, content="changed")
    made.update_message(changed)
    assert changed.create_time == one.create_time
    one.content = "changed"
    assert made.get_message(one.session_id, one.message_id) == one
    new = Message(one.session_id, "new", content="new")
    made.update_message(new)
    assert made.get_message(one.session_id, "new") == new
    made.delete_message(one.session_id, one.message_id)
    assert made.get_message(one.session_id, one.message_id) is None
    made.delete_message(one.session_id, "new", new.create_time)
    assert list(made.list_messages(one.session_id)) == []


FILTERS: list[tuple[Any, Callable[[int], bool]]] = [
    (None, lambda number: True),
    (Filters.eq("is_new", True), lambda number: number % 2 == 0),
    (Filters.not_eq("kind", "tool"), lambda number: number % 3 != 1),
    (Filters.eq("kind", "聊天"), lambda number: number % 3 == 2),
    (Filters.gt("share", 0.5), lambda number: number > SESSIONS / 2),
    (Filters.gte("number", 30), lambda number: number >= 30),
    (Filters.lt("number", 30), lambda number: number < 30),
    (Filters.lte("share", 0.5), lambda number: number <= SESSIONS / 2),
    (
        Filters.logical_and([Filters.gt("share", 0.25), Filters.eq("is_new", False)]),
        lambda number: number > SESSIONS / 4 and number % 2 == 1,
    ),
    (
        Filters.logical_or([Filters.eq("kind", "chat"), Filters.gt("number", 50)]),
        lambda number: number % 3 == 0 or number > 50,
    ),
    (
        Filters.logical_not([Filters.logical_and([Filters.gt("share", 0.5), Filters.eq("is_new", True)])]),
        lambda number: not (number > SESSIONS / 2 and number % 2 == 0),
    ),
]


@pytest.mark.parametrize(("wanted", "holds"), FILTERS)
def test_sessions_of_a_user(store: Store, wanted: Any, holds: Callable[[int], bool]) -> None:
    assert [one.session_id for one in store.list_all_sessions()] == [
        session(number).session_id for number in sorted(ALL, key=lambda number: (number % USERS, number))
    ]
    for user in range(USERS):
        of_user = [session(number) for number in ALL if number % USERS == user and holds(number)]
        name = f"user {user}"
        assert list(store.list_sessions(name, metadata_filter=wanted)) == of_user
        assert list(store.list_sessions(name, metadata_filter=wanted, max_count=3)) == of_user[:3]
        assert list(store.list_sessions(name, metadata_filter=wanted, batch_size=2)) == of_user
        recent = sorted(of_user, key=lambda one: (one.update_time, one.session_id), reverse=True)
        assert list(store.list_recent_sessions(name, metadata_filter=wanted)) == recent
        assert list(store.list_recent_sessions(name, metadata_filter=wanted, max_count=4, batch_size=3)) == recent[:4]
        paged: list[Session] = []
        token = None
        for _ in ALL:
            page = store.list_recent_sessions_paginated(name, page_size=3, next_token=token, metadata_filter=wanted)
            paged += page.hits
            token = page.next_token
            if token is None:
                break
        assert paged == recent


@pytest.mark.parametrize(("first", "last"), [(960, None), (None, 940), (970, 930), (930, 970), (5, None)])
def test_sessions_of_a_time(store: Store, first: int | None, last: int | None) -> None:
    bounds = {"inclusive_start_update_time": first, "inclusive_end_update_time": last}
    if first is not None and last is not None and first < last:
        with pytest.raises(ots.OTSServiceError, match="Begin key must more than end key in BACKWARD"):
            list(store.list_recent_sessions("user 1", **bounds))
        return
    of_user = [session(number) for number in ALL if number % USERS == 1]
    wanted = [
        one
        for one in sorted(of_user, key=lambda one: (one.update_time, one.session_id), reverse=True)
        if (first is None or one.update_time <= first) and (last is None or one.update_time >= last)
    ]
    assert list(store.list_recent_sessions("user 1", **bounds)) == wanted


@pytest.mark.parametrize(("wanted", "holds"), FILTERS)
def test_messages_of_a_session(store: Store, wanted: Any, holds: Callable[[int], bool]) -> None:
    assert len(list(store.list_all_messages())) == SESSIONS
    name = "session 2"
    messages = [message(number) for number in ALL if number % USERS == 2 and holds(number)]
    assert list(store.list_messages(name, metadata_filter=wanted)) == messages[::-1]
    assert list(store.list_messages(name, metadata_filter=wanted, order=Order.ASC, max_count=5)) == messages[:5]
    paged: list[Message] = []
    token = None
    for _ in ALL:
        page = store.list_messages_paginated(
            name, page_size=4, next_token=token, metadata_filter=wanted, order=Order.ASC
        )
        paged += page.hits
        token = page.next_token
        if token is None:
            break
    assert paged == messages
    between = [one for one in messages if 510 <= one.create_time <= 520]
    bounds = {"inclusive_start_create_time": 510, "inclusive_end_create_time": 520, "order": Order.ASC}
    assert list(store.list_messages(name, metadata_filter=wanted, **bounds)) == between


def test_every_message_is_found_by_its_id(store: Store) -> None:
    for number in ALL:
        one = message(number)
        assert store.get_message(one.session_id, one.message_id) == one


def test_sessions_and_messages_are_searched(make: Callable[[], Store]) -> None:
    made = make()
    made.init_search_index()
    for number in range(20):
        made.put_session(session(number))
        made.put_message(message(number))
    wait_until(lambda: len(made.search_messages(limit=100).hits) == len(made.search_sessions(limit=100).hits) == 20)
    wanted = Filters.logical_and([Filters.eq("kind", "chat"), Filters.lt("number", 10)])
    found = [one.metadata["number"] for one in made.search_sessions(metadata_filter=wanted).hits]
    assert sorted(found) == [0, 3, 6, 9]
    texts = Filters.text_match("content", "otters")
    found = [one.metadata["number"] for one in made.search_messages(metadata_filter=texts).hits]
    assert sorted(found) == [0, 4, 8, 12, 16]
    hits: list[Message] = []
    token = None
    for _ in range(20):
        page = made.search_messages(limit=3, next_token=token)
        hits += page.hits
        token = page.next_token
        if token is None:
            break
    assert sorted(one.metadata["number"] for one in hits) == list(range(20))


def test_all_of_a_user_and_of_a_session_is_deleted(make: Callable[[], Store]) -> None:
    made = make()
    for number in ALL:
        made.put_session(session(number))
        made.put_message(message(number))
    made.delete_sessions("user 1")
    assert list(made.list_sessions("user 1")) == list(made.list_recent_sessions("user 1")) == []
    assert len(list(made.list_recent_sessions("user 0"))) == SESSIONS / USERS
    made.delete_session_and_messages("user 0", "session 0")
    assert list(made.list_messages("session 0")) == []
    assert made.get_message("session 0", "message 00") is None
    assert len(list(made.list_messages("session 1"))) == SESSIONS / USERS
    made.delete_all_sessions()
    made.delete_all_messages()
    assert list(made.list_all_sessions()) == list(made.list_all_messages()) == []
    assert list(made.list_recent_sessions("user 2")) == []
