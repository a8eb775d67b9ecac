"""Which store it is, and what of a copy is of its past: against what the copies really hold."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.kv.batch import WriteBatch
from lutra.kv.memory import MemoryStore
from lutra.model.errors import Corruption
from lutra.tables import history, keyspace
from lutra.tables.history import NO_ORIGIN, History, Origin


@dataclass
class Copy:
    """A data directory: its store, and the content of each change it holds."""

    store: MemoryStore = field(default_factory=MemoryStore)
    changes: list[str] = field(default_factory=list)
    history: History | None = None

    def open(self) -> None:
        self.history = History(self.store)
        self.history.begin(len(self.changes))

    def copied(self) -> Copy:
        store = MemoryStore()
        batch = WriteBatch()
        for key, value in self.store.scan(b"\0", b"\xff"):
            batch.put(key, value)
        store.commit(batch)
        return Copy(store, list(self.changes))


@dataclass(frozen=True)
class Written:
    """What an index noted, and of what it was made."""

    origin: Origin
    sequence: int
    changes: tuple[str, ...]


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(["open", "write", "note", "copy", "restore"]), st.integers(0, 5))))
def test_what_is_known_was_made_of_these_changes(steps: list[tuple[str, int]]) -> None:
    """Copies are made, opened, written to and put back; what an index noted is told from what it was made of."""
    copies = [Copy()]
    copies[0].open()
    notes: list[Written] = []
    for action, number in steps:
        which = number % len(copies)
        copy = copies[which]
        if action == "copy":
            copies.append(copy.copied())  # also of one that is open, as a snapshot of the disk is
            copies[-1].open()
        elif action == "restore":
            copies[which] = copies[(which + 1) % len(copies)].copied()
            copies[which].open()
        elif action == "open":
            copy.open()
        elif action == "write":
            copy.changes += [secrets.token_hex(4) for _ in range(number + 1)]
        else:
            assert copy.history is not None
            sequence = min(number, len(copy.changes))
            notes.append(Written(copy.history.origin, sequence, tuple(copy.changes[:sequence])))
    for copy in copies:
        assert copy.history is not None
        for note in notes:
            known = copy.history.why_not(note.origin, note.sequence, len(copy.changes)) is None
            is_same = tuple(copy.changes[: note.sequence]) == note.changes
            assert is_same or not known, "taken for its own, and made of other changes"
            if len(copies) == 1 and not any(action == "restore" for action, _ in steps):
                assert known, "its own, and not taken for that"


def test_an_id_is_made_once_and_lasts() -> None:
    store = MemoryStore()
    fresh = History(store)
    assert (fresh.store_id, fresh.origin) == ("", NO_ORIGIN)
    assert list(store.scan(b"\0", b"\xff")) == [], "looking makes nothing"
    fresh.begin(0)
    again = History(store)
    assert again.origin == fresh.origin
    again.begin(7)
    assert again.store_id == fresh.store_id
    assert len(again.store_id) == 32
    assert again.origin != fresh.origin
    assert [opening.since for opening in again.openings] == [0, 7]
    assert History(MemoryStore()).store_id == ""


def test_what_an_older_lutra_wrote_is_known_up_to_where_it_ended() -> None:
    store = MemoryStore()
    before = History(store)
    assert before.why_not(NO_ORIGIN, 5, 5) is None
    assert before.why_not(NO_ORIGIN, 6, 5) is not None
    before.begin(5)
    assert before.why_not(NO_ORIGIN, 5, 50) is None
    assert before.why_not(NO_ORIGIN, 6, 50) is not None, "nobody wrote like that since"


def test_other_stores_are_told() -> None:
    one, other = History(MemoryStore()), History(MemoryStore())
    one.begin(0)
    other.begin(0)
    assert "another store" in str(one.why_not(other.origin, 0, 0))
    assert "another store" in str(one.why_not(Origin(other.store_id, one.origin.opening), 0, 0))


def test_the_openings_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "OPENINGS_MAX", 3)
    store = MemoryStore()
    origins = []
    for sequence in range(6):
        opened = History(store)
        opened.begin(sequence)
        origins.append(opened.origin)
    last = History(store)
    assert [opening.since for opening in last.openings] == [3, 4, 5]
    assert [last.why_not(origin, 0, 9) is None for origin in origins] == [False] * 3 + [True] * 3
    assert last.why_not(NO_ORIGIN, 0, 9) is not None, "there were openings before"


def test_damage_is_found() -> None:
    for key, text in ((keyspace.STORE_KEY, "the id of the store"), (keyspace.opening_key(1), "an opening")):
        store = MemoryStore()
        History(store).begin(0)
        batch = WriteBatch()
        batch.put(key, b"short")
        store.commit(batch)
        with pytest.raises(Corruption, match=text):
            History(store)
