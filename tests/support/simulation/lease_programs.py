"""Nodes of a cluster over the real control plane, and what must hold whatever order their operations come in.

A node beats, steps, and writes a row into each partition that it has open, round by round. Rows are fenced as SlateDB's
are (`support.simulation.fenced_rows`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final, NamedTuple

from support.cluster_maps import map_of
from support.simulation.fenced_rows import ROWS, FencedRows
from support.simulation.operations import Objects
from support.simulation.processes import Context, Program
from support.simulation.world import View

from lutra.cluster.controller import Controller, ControllerSettings
from lutra.cluster.map import PartitionEntry, TableEntry
from lutra.cluster.map_codec import encode_map
from lutra.cluster.map_log import FOLDER as MAPS
from lutra.cluster.map_log import MapLog
from lutra.model.errors import Fenced, StorageFailure
from lutra.objects import manifest_log

SETTINGS: Final = ControllerSettings(ttl_s=2.0, margin_s=0.5, settle_s=1.0, patience_s=3.0, retry_max_s=1.0)
"""With time that goes on by a second, a node is sure for two, and dead after three."""


class Claims(NamedTuple):
    """What a node takes for true: until when, by its clock, it is sure of what it has open; of each its rows."""

    sure_until_s: float
    open: tuple[tuple[str, int, tuple[str, ...]], ...]


class RowsOpener:
    """A `PartitionOpener` of fenced rows."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.rows: dict[str, FencedRows] = {}
        self.epochs: dict[str, int] = {}

    def open(self, entry: PartitionEntry, table: TableEntry, epoch: int) -> object:
        writer = f"{self._context.name}{self._context.draw(2)}"
        self.rows[entry.id] = FencedRows(self._context.store, entry.id, epoch, writer)
        self.epochs[entry.id] = epoch
        self._context.note("opened", entry.id, epoch)
        return self.rows[entry.id]

    def close(self, partition_id: str) -> None:
        self.rows.pop(partition_id, None)
        self.epochs.pop(partition_id, None)

    def broken(self) -> Iterable[str]:
        return [each for each, rows in self.rows.items() if rows.is_fenced]


MakeController = Callable[..., Controller]


class NodeRun:
    """One run of a node."""

    def __init__(self, context: Context, make_controller: MakeController, settings: ControllerSettings) -> None:
        self._context = context
        self.opener = RowsOpener(context)
        self.controller = make_controller(
            context.store,
            context.name,
            f"{context.name}:80",
            self.opener,
            MapLog(context.store, self._token),
            settings=settings,
            clock=context.now,
            token_bytes=self._token,
        )
        self._written = 0
        context.claims = self._claims

    def _token(self, size: int) -> bytes:
        return bytes.fromhex(self._context.draw(size))

    def _claims(self) -> Hashable:
        until_s = self.controller._lease._sure_until_s
        rows = self.opener.rows
        opened = tuple((each, self.opener.epochs[each], tuple(rows[each].rows)) for each in sorted(rows))
        return Claims(until_s or 0.0, opened)

    @property
    def known(self) -> Any:
        held = vars(self.controller)
        return {name: held[name] for name in held if name != "_maps"}, held["_maps"].known.version, self._written

    def beat(self) -> None:
        with contextlib.suppress(StorageFailure):
            self.controller.beat()
        if self.controller._lease.has_joined and ("joined",) not in self._context.notes:
            self._context.note("joined")

    def step(self) -> None:
        with contextlib.suppress(StorageFailure):
            self.controller.step()

    def write(self) -> None:
        """A client's write to each partition: it is told that its row is there when it is durable, and not before."""
        for each, rows in sorted(self.opener.rows.items()):
            if not self.controller.is_sure():
                return
            self._written += 1
            row = f"{self._context.name}{self._written}"
            with contextlib.suppress(Fenced, StorageFailure):
                rows.write(row)
                if self.opener.rows.get(each) is rows:  # nothing is acknowledged after it was closed
                    self._context.note("acknowledged", each, row)


def node(
    name: str,
    rounds: int,
    *,
    writes: bool = True,
    leaves_in: int | None = None,
    clock_rate: float = 1.0,
    settings: ControllerSettings = SETTINGS,
    make_controller: MakeController = Controller,
) -> Program:
    """One that goes through so many rounds, and leaves in one of them."""

    def run(context: Context) -> None:
        run = NodeRun(context, make_controller, settings)
        for number in range(rounds):
            context.knows(number, run.known)
            if number == leaves_in:
                run.controller.leave()
            run.beat()
            run.step()
            if writes:
                run.write()

    return Program(name, lambda context: [lambda: run(context)], clock_rate)


def cluster_of(partitions: int) -> Objects:
    """The objects of a cluster whose map was just made."""
    version = 1
    made = map_of(partitions)
    made = type(made)(version, made.next_uid, made.instances, made.tables, made.partitions)
    data = manifest_log._encode(version, bytes(16), encode_map(made))
    return {f"{MAPS}/{version:020d}": data}


def at_most_one_is_sure(clock_rates: dict[str, float]) -> Callable[[View], None]:
    """Nodes' clocks run differently fast."""

    def at_most_one_is_sure_of_a_partition(view: View) -> None:
        owners: dict[str, str] = {}
        for name, claims in view.claims.items():
            if isinstance(claims, Claims) and view.now * clock_rates.get(name, 1.0) < claims.sure_until_s:
                for each, epoch, _ in claims.open:
                    assert each not in owners, f"{each} is open in {owners[each]} and, by epoch {epoch}, in {name}"
                    owners[each] = name

    return at_most_one_is_sure_of_a_partition


def who_is_sure_has_all_that_was_acknowledged(view: View) -> None:
    for name, claims in view.claims.items():
        if isinstance(claims, Claims) and view.now < claims.sure_until_s:
            for each, epoch, rows in claims.open:
                for writer, (partition, row) in view.noted("acknowledged"):
                    assert partition != each or row in rows, (
                        f"{name} has {each} by epoch {epoch}, without {row}, which {writer} acknowledged"
                    )


def nothing_acknowledged_is_lost(view: View) -> None:
    stored = {data.partition(b"\n")[2].decode() for name, data in view.objects.items() if name.startswith(f"{ROWS}/")}
    for writer, (_, row) in view.noted("acknowledged"):
        assert row in stored, f"{row}, which {writer} acknowledged, is gone"


def nothing_is_stored_twice(view: View) -> None:
    rows = [data.partition(b"\n")[2] for name, data in view.objects.items() if name.startswith(f"{ROWS}/")]
    written = [row for row in rows if row]
    assert len(written) == len(set(written)), f"a row is there twice: {sorted(written)}"


def each_epoch_is_one_owners(view: View) -> None:
    owners: dict[tuple[Hashable, Hashable], str] = {}
    for name, (partition, epoch) in view.noted("opened"):
        before = owners.setdefault((partition, epoch), name)
        assert before == name, f"{partition} is {before}'s and {name}'s by epoch {epoch}"


LEASE_INVARIANTS: Final = (
    at_most_one_is_sure({}),
    who_is_sure_has_all_that_was_acknowledged,
    nothing_acknowledged_is_lost,
    nothing_is_stored_twice,
    each_epoch_is_one_owners,
)
