"""Several writers of one log over a store that fails now and then, and loses replies: they make one history."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support.faulty_store import FAILURES, Effect, FaultyStore

from lutra.model.errors import Fenced, StorageFailure
from lutra.objects.local import LocalStore
from lutra.objects.manifest_log import ManifestLog

WRITERS = st.integers(0, 2)


@dataclass
class Writer:
    """One that goes on from what it knows to be newest, and starts anew where it is fenced."""

    store: FaultyStore
    log: ManifestLog = field(init=False)
    known: int = 0

    def open(self) -> None:
        self.log = ManifestLog(self.store, "manifest")
        newest = self.log.latest()
        self.known = newest.number if newest else 0


class WritersMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="lutra-manifests-"))
        self.inner = LocalStore(self.folder)
        self.writers = [Writer(FaultyStore(self.inner)) for _ in range(3)]
        for writer in self.writers:
            writer.open()
        self.acknowledged: list[tuple[int, bytes]] = []
        self.payloads = 0

    @property
    def last_number(self) -> int:
        return self.acknowledged[-1][0] if self.acknowledged else 0

    @rule(which=WRITERS, effect=st.none() | st.sampled_from(FAILURES), after=st.integers(0, 2), lasts=st.booleans())
    def commit(self, which: int, effect: Effect | None, after: int, lasts: bool) -> None:
        writer = self.writers[which]
        if effect is not None:
            writer.store.fail_next(effect, after=after, lasts=lasts)
        self.payloads += 1
        payload = b"%d" % self.payloads
        try:
            number = writer.log.commit(writer.known + 1, payload)
        except Fenced:
            writer.store.heal()
            writer.open()
            assert writer.known >= self.last_number
        except StorageFailure:
            writer.store.heal()
        else:
            writer.store.heal()
            assert number > writer.known >= self.last_number, "what others did since is lost"
            writer.known = number
            self.acknowledged.append((number, payload))

    @rule(which=WRITERS)
    def forget(self, which: int) -> None:
        writer = self.writers[which]
        writer.log.forget(writer.known - 1)

    @rule(which=WRITERS)
    def start_anew(self, which: int) -> None:
        self.writers[which].open()
        assert self.writers[which].known >= self.last_number

    @invariant()
    def what_was_acknowledged_last_is_there(self) -> None:
        """Or what went on from it: a commit that nobody knows of may be there, and who finds it may forget this one."""
        if not self.acknowledged:
            return
        log = ManifestLog(self.inner, "manifest")
        numbers = log.numbers()
        assert numbers[-1] >= self.last_number
        if self.last_number in numbers:
            assert log.read(self.last_number) == self.acknowledged[-1]

    def teardown(self) -> None:
        shutil.rmtree(self.folder)


TestWriters = WritersMachine.TestCase
TestWriters.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
