"""One place of objects and several data directories: strangers, copies, backups, and what a kill leaves between."""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.engines import EAGER, INDEX, INSTANCE, TABLE, IndexedTable, open_engine, unnamed
from support.faulty_store import Effect, Fault, FaultyStore
from support.folders import folder_in_memory
from support.killing_store import KillPoint
from support.s3_server import S3Server

import lutra
from lutra.index.lsm.resources import Resources
from lutra.instance.adoption import adopt_objects
from lutra.instance.engine import Engine
from lutra.instance.fsck import check_directory
from lutra.instance.stopped import StoppedDirectory
from lutra.kv.batch import WriteBatch
from lutra.kv.rocksdb import RocksStore
from lutra.model.errors import Corruption, Fenced, ForeignObjects, LutraError
from lutra.objects import manifest_log
from lutra.objects.local import LocalStore
from lutra.objects.manifest_log import ManifestLog
from lutra.objects.owner import OWNER, owner_of
from lutra.objects.s3 import S3Store

KEYS = 60
ANEW = "It is filled anew."


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where that can be had: these tests open engines over and over."""
    with tempfile.TemporaryDirectory(prefix="lutra-test-", dir=folder_in_memory() or tmp_path) as made:
        yield Path(made)


def state_of(place: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its bytes and when it was last changed."""
    return {
        str(path.relative_to(place)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in place.rglob("*")
        if path.is_file()
    }


def write(data: Path, place: Path, rng: random.Random, before: IndexedTable | None, batches: int = 2) -> IndexedTable:
    """One opening of a directory: what is found is right, then more is written, and is found."""
    engine = open_engine(data, objects=str(place))
    try:
        table = IndexedTable(engine, before)
        if before is not None:
            table.wait()
            table.check()
        for _ in range(batches):
            table.write(rng, 20, KEYS)
        table.wait()
        table.check()
        if rng.random() < 0.7:
            table.settle()
            changelog, feed = engine.partition.space.changelog, table.feed
            changelog.trim(feed.definition.table_id, feed.needed_after)
        return table
    finally:
        engine.close()


def killed(program: str, *arguments: str) -> None:
    """Runs a program that kills itself."""
    tests = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": tests},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -9, done.stderr


def made_older(data: Path, place: Path) -> None:
    """As a Lutra left it that knew of no ids."""
    store = RocksStore(data / "kv")
    batch = WriteBatch()
    batch.delete(b"m/store")
    batch.delete_range(b"m/opening/", b"m/opening0")
    batch.delete_range(b"t", b"u")
    store.commit(batch)
    store.close()
    shutil.rmtree(place / OWNER)
    for folder in place.glob("indexes/*/manifest"):
        objects = LocalStore(place)
        log = ManifestLog(objects, folder.relative_to(place).as_posix())
        for number in log.numbers():
            stored = json.loads(log.read(number).payload)
            del stored["store"], stored["opening"]
            objects.put(log.name(number), manifest_log._encode(number, bytes(16), json.dumps(stored).encode()))


@pytest.mark.parametrize("is_empty", [True, False])
def test_another_store_s_place_is_refused_and_left_as_it_is(folder: Path, is_empty: bool) -> None:
    place, mine, other = folder / "place", folder / "mine", folder / "other"
    table = write(mine, place, random.Random(1), None)
    if not is_empty:
        write(other, folder / "elsewhere", random.Random(2), None)
    before = state_of(place)
    for _ in range(2):
        with pytest.raises(ForeignObjects, match=rf"store [0-9a-f]+, data directory {mine} on .*lutra objects adopt"):
            Engine.open(other, objects=place)
        with pytest.raises(lutra.ParameterInvalid, match="belong to another store"):
            lutra.connect(other, objects=place)
    assert state_of(place) == before, "nothing was changed"
    (fault,) = [fault for fault in check_directory(other, objects=place) if not fault.table]
    assert "belong to another store" in str(fault)
    assert state_of(place) == before
    write(mine, place, random.Random(3), table)
    assert check_directory(mine, objects=place) == []


def test_another_store_s_prefix_on_s3_is_refused(folder: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the store is tried, which puts objects."""
    url = s3.url(uuid.uuid4().hex)
    Engine.open(folder / "mine", objects=url).close()
    bucket = S3Store(url)
    before = [(name, bucket.get(name)) for name in bucket.list("")]
    asked: list[str] = []
    monkeypatch.setattr(S3Store, "put_if_absent", lambda store, name, data: asked.append(name))
    with pytest.raises(ForeignObjects, match=f"the objects at {url} belong to another store"):
        Engine.open(folder / "other", objects=url)
    assert asked == []
    assert [(name, bucket.get(name)) for name in bucket.list("")] == before


def test_a_place_of_an_older_lutra_is_its_own_store_s(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    place, mine, other = folder / "place", folder / "mine", folder / "other"
    rng = random.Random(5)
    table = write(mine, place, rng, None)
    made_older(mine, place)
    write(other, folder / "elsewhere", random.Random(2), None)
    before = state_of(place)
    with pytest.raises(ForeignObjects, match="objects of 1 search indexes, and none of them is one of this data dir"):
        Engine.open(other, objects=place)
    assert state_of(place) == before
    table = write(mine, place, rng, table)
    assert ANEW not in caplog.text, "the index went on"
    owner = owner_of(LocalStore(place))
    assert owner is not None
    assert owner.directory == str(mine)
    shutil.rmtree(place / OWNER)
    with pytest.raises(ForeignObjects, match="belong to another store"):  # its manifests say so by now
        Engine.open(other, objects=place)
    write(mine, place, rng, table)
    assert ANEW not in caplog.text


def test_a_place_is_adopted_and_given_back(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who had it finds out while it runs; its objects stay, and it goes on from them once it has the place again."""
    place, mine, other = folder / "place", folder / "mine", folder / "other"
    rng = random.Random(7)
    table = write(mine, place, rng, None)
    theirs = write(other, folder / "elsewhere", rng, None)
    engine = open_engine(mine, objects=str(place))
    try:
        running = IndexedTable(engine, table)
        running.wait()
        running.settle()
        with StoppedDirectory(other, objects=place, is_to_be_mended=True) as directory:
            owner, before = adopt_objects(directory)
            assert before is not None
            assert (owner.directory, before.directory) == (str(other), str(mine))
            assert adopt_objects(directory) == (owner, owner), "it is its own already"
        kept = state_of(place / "indexes")
        running.write(rng, 20, KEYS)
        with pytest.raises(Fenced, match=f"another store has taken the place of these objects: .*{other}"):
            running.feed.index.flush()
        engine.instance(INSTANCE).delete_search_index(TABLE, INDEX)
        engine.instance(INSTANCE).create_search_index(TABLE, "another", running.feed.definition.schema)
        write(other, place, rng, theirs)
    finally:
        engine.close()
    assert kept.keys() <= state_of(place / "indexes").keys(), "nothing of the other is gone"
    with pytest.raises(ForeignObjects):
        Engine.open(mine, objects=place)
    assert len(list((place / "indexes").iterdir())) == 2, "neither has made the new one there"
    with StoppedDirectory(mine, objects=place, is_to_be_mended=True) as directory:
        assert adopt_objects(directory)[0].directory == str(mine)
    caplog.clear()
    engine = open_engine(mine, objects=str(place))
    engine.close()
    assert ANEW not in caplog.text
    (note,) = (fault for fault in check_directory(other, objects=place) if not fault.table)
    assert "belong to another store" in note.text


def test_what_says_whose_it_is_may_be_damaged(folder: Path) -> None:
    place, mine = folder / "place", folder / "mine"
    table = write(mine, place, random.Random(1), None)
    (said,) = (place / OWNER).iterdir()
    said.write_bytes(said.read_bytes()[:-1])
    for look in (lambda: Engine.open(mine, objects=place), lambda: open_engine(mine, objects=str(place))):
        with pytest.raises(Corruption, match=r"owner/0+1: .* `lutra objects adopt` writes it anew"):
            look()
    (fault,) = (fault for fault in check_directory(mine, objects=place) if not fault.table)
    assert fault.remedy.value == "adopt"
    with StoppedDirectory(mine, objects=place, is_to_be_mended=True) as directory:
        adopt_objects(directory)
    write(mine, place, random.Random(2), table)
    assert check_directory(mine, objects=place) == []


class Walk:
    """Copies of one data directory with one place of objects; at random they go on, are copied and put back.

    An index is deleted and made again, and another store adopts the place, and gives it back, too.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.rng = folder, random.Random(seed)
        self.place = folder / "place"
        self.tables = [write(self.data(0), self.place, self.rng, None)]
        self.saved: list[Path] = []
        self.other = write(folder / "other", folder / "elsewhere", self.rng, None)

    def data(self, number: int) -> Path:
        return self.folder / f"data{number}"

    def step(self, number: int) -> None:
        which = self.rng.randrange(len(self.tables))
        kinds = ["go on"] * 4 + ["save", "save", "copy", "put back", "adopt", "remake"]
        kind = self.rng.choice(kinds + ["put objects back"] * 3 * bool(self.saved))
        if kind == "go on":
            self.tables[which] = write(self.data(which), self.place, self.rng, self.tables[which], batches=1)
        elif kind == "copy" and len(self.tables) < 3:
            shutil.copytree(self.data(which), self.data(len(self.tables)))
            self.tables.append(self._copied(which))
        elif kind == "put back":
            to = (which + 1) % len(self.tables)
            if to != which:
                shutil.rmtree(self.data(to))
                shutil.copytree(self.data(which), self.data(to))
                self.tables[to] = self._copied(which)
        elif kind == "adopt":
            self.adopt(self.folder / "other")
            self.other = write(self.folder / "other", self.place, self.rng, self.other, batches=1)
            self.adopt(self.data(which))
        elif kind == "remake":
            engine = open_engine(self.data(which), objects=str(self.place))
            try:
                instance, schema = engine.instance(INSTANCE), IndexedTable(engine, self.tables[which]).feed.definition
                instance.delete_search_index(TABLE, INDEX)
                instance.create_search_index(TABLE, INDEX, schema.schema)
                made = IndexedTable(engine, self.tables[which])
                made.wait()
                made.check()
            finally:
                engine.close()
        elif kind == "save":
            self.saved.append(Path(shutil.copytree(self.place, self.folder / f"saved{number}")))
        elif kind == "put objects back":
            shutil.rmtree(self.place)
            shutil.copytree(self.rng.choice(self.saved), self.place)

    def adopt(self, data: Path) -> None:
        with StoppedDirectory(data, objects=self.place, is_to_be_mended=True) as directory:
            adopt_objects(directory)

    def _copied(self, which: int) -> IndexedTable:
        copied = object.__new__(IndexedTable)
        copied.model = dict(self.tables[which].model)
        return copied

    def run(self, steps: int) -> None:
        for number in range(steps):
            self.step(number)
        for which, table in enumerate(self.tables):
            write(self.data(which), self.place, self.rng, table, batches=0)
            assert [str(f) for f in check_directory(self.data(which), objects=self.place)] == []
        self.adopt(self.folder / "other")
        write(self.folder / "other", self.place, self.rng, self.other, batches=0)


def test_copies_and_backups_answer_by_their_tables(folder: Path) -> None:
    for seed in (2, 8):  # the first finds it where openings are not looked at, the second where trims are not
        Walk(folder / str(seed), seed).run(12)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_copies_and_backups_answer_by_their_tables_over_and_over(folder: Path) -> None:
    for seed in range(10, 30):
        Walk(folder / str(seed), seed).run(20)
        shutil.rmtree(folder / str(seed))


def test_a_copy_beside_the_original_is_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Both run: the one that came last has the place, the other is told at its next use."""
    place = folder / "place"
    rng = random.Random(11)
    table = write(folder / "one", place, rng, None)
    shutil.copytree(folder / "one", folder / "two")
    first = open_engine(folder / "one", objects=str(place))
    try:
        running = IndexedTable(first, table)
        running.wait()
        model = dict(running.model)
        running.write(rng, 20, KEYS)
        running.settle()
        with caplog.at_level(logging.WARNING):
            second = open_engine(folder / "two", objects=str(place))
        try:
            assert "a copy of this data directory, or this one before a backup was put back" in caplog.text
            copied = object.__new__(IndexedTable)
            copied.model = model
            copied = IndexedTable(second, copied)
            copied.wait()
            copied.check()
            running.write(rng, 20, KEYS)
            with pytest.raises(Fenced):
                running.feed.index.flush()
            copied.write(rng, 20, KEYS)
            copied.settle()
            copied.check()
        finally:
            second.close()
    finally:
        first.close()
    assert check_directory(folder / "two", objects=place) == []
    assert unnamed(LocalStore(place)) == set()
    caplog.clear()
    write(folder / "one", place, rng, running)
    assert ANEW in caplog.text
    assert check_directory(folder / "one", objects=place) == []


def test_a_place_that_is_out_of_reach_at_first(folder: Path) -> None:
    """Rows are served; once it answers it is taken, where it is not another's."""
    place, rng = folder / "place", random.Random(13)
    table = write(folder / "mine", place, rng, None)
    theirs = write(folder / "other", folder / "elsewhere", rng, None)
    before = state_of(place)
    for data, known, is_foreign in ((folder / "other", theirs, True), (folder / "mine", table, False)):
        kept: list[FaultyStore] = []

        def wrapped(resources: Resources, kept: list[FaultyStore] = kept) -> Resources:
            kept.append(FaultyStore(resources.store, [Fault(1, Effect.BEFORE, lasts=True)]))
            return replace(resources, store=kept[0])

        engine = open_engine(data, objects=str(place), wrapped=wrapped)
        try:
            opened = IndexedTable(engine, known)
            opened.write(rng, 20, KEYS)
            with pytest.raises(LutraError):
                opened.wait(0.5)
            kept[0].heal()
            if is_foreign:
                deadline_s = time.monotonic() + 60
                while "belong to another store" not in (opened.feed.error or ""):
                    assert time.monotonic() < deadline_s
                    time.sleep(0.01)
                engine.instance(INSTANCE).delete_search_index(TABLE, INDEX)
            else:
                opened.wait()
                opened.check()
                opened.settle()
        finally:
            engine.close()
        if is_foreign:
            assert state_of(place) == before


ADOPTING = """
import sys
from support.killing_store import Killer, KillingStore, KillPoint
from lutra.instance import adoption
from lutra.instance.stopped import StoppedDirectory

opened = adoption.open_store
killer = Killer(KillPoint.from_json(sys.argv[3]))
adoption.open_store = lambda place: KillingStore(opened(place), killer)
with StoppedDirectory(sys.argv[1], objects=sys.argv[2], is_to_be_mended=True) as directory:
    adoption.adopt_objects(directory)
"""


@pytest.mark.parametrize(
    ("point", "is_adopted"),
    [
        (KillPoint("put_if_absent", "owner/", 1, "before"), False),
        (KillPoint("put_if_absent", "owner/", 1, "after"), True),
        (KillPoint("delete", "owner/", 1, "after"), True),
    ],
)
def test_a_kill_around_adopting(folder: Path, point: KillPoint, is_adopted: bool) -> None:
    """One of the two has the place, and the other can adopt it."""
    place, rng = folder / "place", random.Random(17)
    tables = {name: write(folder / name, where, rng, None) for name, where in (("a", place), ("b", folder / "else"))}
    killed(ADOPTING, str(folder / "b"), str(place), point.to_json())
    has, has_not = ("b", "a") if is_adopted else ("a", "b")
    with pytest.raises(ForeignObjects, match=f"data directory {folder / has} on"):
        Engine.open(folder / has_not, objects=place)
    tables[has] = write(folder / has, place, rng, tables[has])
    with StoppedDirectory(folder / has_not, objects=place, is_to_be_mended=True) as directory:
        adopt_objects(directory)
    write(folder / has_not, place, rng, tables[has_not])
    assert check_directory(folder / has_not, objects=place) == []


KILLED = """
import sys
import time
from dataclasses import replace
from pathlib import Path
from support.engines import INDEX, INSTANCE, TABLE, IndexedTable, open_engine
from support.killing_store import Killer, KillingStore, KillPoint

class Armed(Killer):
    armed = sys.argv[4] != "delete"

    def run(self, kind, name, act):
        return super().run(kind, name, act) if self.armed else act()

killer = Armed(KillPoint.from_json(sys.argv[3]))

def killing(resources):
    return replace(resources, store=KillingStore(resources.store, killer))

engine = open_engine(Path(sys.argv[1]), objects=sys.argv[2], wrapped=killing)
if sys.argv[4] == "make":
    IndexedTable(engine)
(feed,) = engine.partition.feeder._feeds
instance = engine.instance(INSTANCE)
instance.wait_searchable(TABLE, INDEX, 60)
feed.index.flush()
killer.armed = True
instance.delete_search_index(TABLE, INDEX)
time.sleep(60)
"""

POINTS = [
    ("make", KillPoint("put_if_absent", "owner/", 1, "before")),
    ("make", KillPoint("put_if_absent", "owner/", 1, "after")),
    ("again", KillPoint("put_if_absent", "owner/", 1, "after")),
    ("again", KillPoint("put_if_absent", "manifest/", 1, "before")),
    ("delete", KillPoint("delete", "segments/", 1, "after")),
    ("delete", KillPoint("delete", "manifest/", 1, "after")),
]
MORE_POINTS = [
    ("make", KillPoint("list", "owner", 1, "before")),
    ("make", KillPoint("put_if_absent", "manifest/", 1, "before")),
    ("again", KillPoint("put_if_absent", "owner/", 1, "before")),
    ("again", KillPoint("delete", "owner/", 1, "after")),
    ("again", KillPoint("put_if_absent", "manifest/", 1, "after")),
    ("delete", KillPoint("delete", "segments/", 1, "before")),
    ("delete", KillPoint("delete", "manifest/", 2, "after")),
]


@pytest.mark.parametrize(
    ("run", "point"), [*POINTS, *(pytest.param(*more, marks=pytest.mark.slow) for more in MORE_POINTS)]
)
def test_a_kill_around_taking_a_place(folder: Path, run: str, point: KillPoint) -> None:
    """After it the directory has its place, another is refused it, and what was deleted goes."""
    data, place = folder / "data", folder / "place"
    table = None if run == "make" else write(data, place, random.Random(3), None)
    killed(KILLED, str(data), str(place), point.to_json(), run)
    was_deleted = run == "delete"
    engine = open_engine(data, objects=str(place))
    try:
        if table is not None and not was_deleted:
            again = IndexedTable(engine, table)
            again.wait()
            again.check()
            again.settle()
        with pytest.raises(LutraError):
            Engine.open(folder / "other", objects=place)
    finally:
        engine.close()
    open_engine(data, objects=str(place), policy=EAGER).close()
    assert check_directory(data, objects=place) == []
    with StoppedDirectory(data, objects=place) as directory:
        assert directory.indexes.deleted() == []
    if was_deleted:
        assert not list(place.glob("indexes/*/*/*")), "what the kill left has gone"
