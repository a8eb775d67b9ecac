"""Which local transactions are open: their ids, the partition keys that they hold, and the bounds on all of that.

A transaction lives in memory alone: one that was not committed when the process ends has never been. It is lost as
well when its time is up, which is looked at whenever anybody asks for a transaction, or for what one holds, and now and
then: its rows may take much memory.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from lutra.kv.store import KeyValueStore
from lutra.model import limits
from lutra.model.errors import (
    DataOutOfRange,
    ParameterInvalid,
    ServerBusy,
    SessionBusy,
    SessionNotExist,
    TransactionTooLarge,
)
from lutra.model.rows import KeyInput
from lutra.model.values import KeyMarker, KeyValue
from lutra.tables.effects import Effects
from lutra.tables.refusals import being_modified
from lutra.tables.surely import surely
from lutra.tables.table import Table

T = TypeVar("T")

_ID: Final = re.compile("[0-9a-f]{32}")
_ENTRY_BYTES: Final = 256
"""What a value that is kept takes beside its own bytes, about."""


class Transaction:
    """Rows of one partition key as they are to be. Its user alone touches it.

    ``partition``: what the stored keys of these rows begin with (`KeyCodec.partition`). ``written_bytes`` is what its
    changes bring, as the protocol counts, ``held_bytes`` what they take in memory. ``is_torn``: an interrupt came while
    changes were taken in. ``is_stale``: its table has another definition by now.
    """

    __slots__ = (
        "effects",
        "ends_s",
        "held_bytes",
        "id",
        "is_stale",
        "is_torn",
        "partition",
        "partition_value",
        "table",
        "user",
        "written_bytes",
    )

    def __init__(
        self, table: Table, partition: bytes, partition_value: KeyValue, store: KeyValueStore, ends_s: float
    ) -> None:
        self.id = secrets.token_hex(16)
        self.table = table
        self.partition = partition
        self.partition_value = partition_value
        self.effects = Effects(store)
        self.ends_s = ends_s
        self.user: object | None = self
        """Who is using it: itself, until it is opened."""
        self.is_stale = False
        self.is_torn = False
        self.written_bytes = 0
        self.held_bytes = 0


class _Use:
    """One request's use of a transaction."""

    __slots__ = ("transaction",)

    def __init__(self) -> None:
        self.transaction: Transaction | None = None


class OpenTransactions:
    """Of all instances of a store. Thread-safe."""

    def __init__(self, store: KeyValueStore, monotonic: Callable[[], float] = time.monotonic) -> None:
        """``monotonic``: the time in seconds, on a clock that nobody sets."""
        self._store = store
        self._monotonic = monotonic
        self._mutex = threading.Lock()
        self._by_id: dict[str, Transaction] = {}
        """By beginning: those that end first come first."""
        self.holders: dict[bytes, Transaction] = {}
        """By partition. Empty means that nobody has to ask `check_free`."""

    def begin(self, table: Table, partition: bytes, partition_value: KeyValue) -> Transaction:
        """A new transaction, which holds its partition key from now on, and is in use until `opened`.

        Raises OperationConflict where another holds it, ServerBusy where too many are open.
        """
        now_s = self._monotonic()
        transaction = Transaction(table, partition, partition_value, self._store, now_s + limits.TRANSACTION_S_MAX)
        with self._mutex:
            self._drop_expired(now_s)
            if partition in self.holders:
                raise being_modified()
            if len(self._by_id) >= limits.TRANSACTIONS_MAX:
                raise ServerBusy(f"{limits.TRANSACTIONS_MAX} local transactions are open, which is all there may be.")
            self._by_id[transaction.id] = transaction  # first: what is in here ends in any case
            self.holders[partition] = transaction
        return transaction

    def opened(self, transaction: Transaction) -> None:
        """Lets requests use a transaction that was begun."""
        transaction.user = None

    def use(self, instance: str, transaction_id: str, work: Callable[[Transaction], T]) -> T:
        """What ``work`` makes of the transaction, which nobody else uses meanwhile.

        Raises ParameterInvalid for what can be no transaction's id, SessionNotExist where none of that id is open in
        the instance, SessionBusy where a request is using it, and what ``work`` raises.
        """
        if _ID.fullmatch(transaction_id) is None:
            raise ParameterInvalid("TransactionID is invalid.")
        use = _Use()
        return surely(lambda: work(self._take(use, instance, transaction_id)), lambda: self._let_go(use))

    def end(self, transaction: Transaction) -> None:
        """Forgets it, and lets others at its partition key; a second time does nothing."""
        with self._mutex:
            self._remove(transaction)

    def end_of_table(self, table_id: int) -> None:
        """Forgets those of a table whose definition has changed, or that is gone; one that is in use, after that."""
        with self._mutex:
            for transaction in [one for one in self._by_id.values() if one.table.table_id == table_id]:
                transaction.is_stale = True
                if transaction.user is None:
                    self._remove(transaction)

    def check_free(self, table: Table, stored_key: bytes) -> None:
        """Raises OperationConflict where a transaction holds the row's partition key."""
        if table.keys.partition(stored_key) not in self.holders:
            return
        with self._mutex:
            self._drop_expired(self._monotonic())
            if table.keys.partition(stored_key) in self.holders:
                raise being_modified()

    def check_room(self, transaction: Transaction, written_bytes: int) -> None:
        """Raises TransactionTooLarge where a transaction cannot take changes that bring so much."""
        if transaction.written_bytes + written_bytes > limits.TRANSACTION_BYTES_MAX:
            raise TransactionTooLarge(
                "The total data size of the transaction exceeds the limit, limit size:"
                f" {limits.TRANSACTION_BYTES_MAX}, data size: {transaction.written_bytes + written_bytes}."
            )

    def take_in(self, transaction: Transaction, effects: Effects, written_bytes: int) -> None:
        """Adds what changes of a transaction do, all of it or nothing.

        Raises TransactionTooLarge where its rows take too much memory, ServerBusy where those of all do.
        """
        before = transaction.effects.values
        added = sum(_size_bytes(key, value) for key, value in effects.values.items())
        added -= sum(_size_bytes(key, before[key]) for key in effects.values if key in before)
        logged = [*effects.changes.values(), *(effects.records or {}).values()]
        added += sum(len(entry) + _ENTRY_BYTES for entries in logged for entry in entries)
        if transaction.held_bytes + added > limits.TRANSACTION_HELD_BYTES_MAX:
            raise TransactionTooLarge(
                f"The rows of the transaction take more than {limits.TRANSACTION_HELD_BYTES_MAX} bytes together."
            )
        with self._mutex:
            held_bytes = sum(other.held_bytes for other in self._by_id.values())
            if held_bytes + added > limits.TRANSACTIONS_HELD_BYTES_MAX:
                raise ServerBusy("The rows of all open local transactions take too much memory together.")
            transaction.held_bytes += added
        transaction.is_torn = True
        transaction.written_bytes += written_bytes
        transaction.effects.absorb(effects)
        transaction.is_torn = False

    @property
    def count(self) -> int:
        """How many are open."""
        with self._mutex:
            self._drop_expired(self._monotonic())
            return len(self._by_id)

    def drop_expired(self) -> None:
        """Forgets those whose time is up, with what they hold in memory."""
        if self._by_id:
            with self._mutex:
                self._drop_expired(self._monotonic())

    def _take(self, use: _Use, instance: str, transaction_id: str) -> Transaction:
        with self._mutex:
            self._drop_expired(self._monotonic())
            transaction = self._by_id.get(transaction_id)
            if transaction is None or transaction.table.instance != instance:
                raise SessionNotExist
            if transaction.is_torn:
                self._remove(transaction)
                raise SessionNotExist
            if transaction.user is not None:
                raise SessionBusy
            use.transaction = transaction
            transaction.user = use
            return transaction

    def _let_go(self, use: _Use) -> None:
        transaction = use.transaction
        if transaction is not None and transaction.user is use:
            with self._mutex:
                if transaction.is_stale:
                    self._remove(transaction)
                transaction.user = None

    def _drop_expired(self, now_s: float) -> None:
        """All whose time is up, but those that a request is using: what it does is done first."""
        expired = []
        for transaction in self._by_id.values():
            if transaction.ends_s > now_s:
                break
            if transaction.user in (None, transaction):
                expired.append(transaction)
        for transaction in expired:
            self._remove(transaction)

    def _remove(self, transaction: Transaction) -> None:
        """Comes to the same when it is done again."""
        if self.holders.get(transaction.partition) is transaction:
            del self.holders[transaction.partition]
        self._by_id.pop(transaction.id, None)


def out_of_range(own: KeyValue | KeyMarker, key: KeyInput) -> DataOutOfRange:
    """What to tell of a key, or of a bound of a range, beyond a transaction's partition key."""
    return DataOutOfRange(
        f"Data out of scope of transaction. Transaction PartKey:{shown(own)}. Data PartKey:{shown(key[0][1])}"
    )


def out_of_table(own: str, other: str) -> DataOutOfRange:
    """What to tell of another table than the transaction's own."""
    return DataOutOfRange(f"Data out of scope of transaction. Transaction table:{own}. Data table:{other}")


def shown(value: KeyValue | KeyMarker) -> str:
    """A value of a key column as errors name it."""
    if isinstance(value, KeyMarker):
        return value.name
    return value.hex() if isinstance(value, bytes) else str(value)


def _size_bytes(key: bytes, value: bytes | None) -> int:
    return len(key) + (0 if value is None else len(value)) + _ENTRY_BYTES
