"""What follows the changes of a table: a search index is one such consumer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from lutra.feed.progress import Progress
from lutra.model.errors import Corruption, LutraError, ObjectMissing
from lutra.model.rows import PrimaryKey, Row


class ChangeConsumer(Protocol):
    """Takes in the rows of one table as they are, first all of them and then those that change.

    One thread at a time applies; another maintains; everybody else looks. What is applied counts once `reached` says
    so, and needs no change of the log any more once `durable_position` has come so far.
    """

    def __hash__(self) -> int:
        """Its own: threads keep sets of them."""

    on_due: Callable[[], None]
    """Called, from any thread, when there is something to maintain."""
    on_progress: Callable[[], None]
    """Called, from any thread, while it is opened, as long as that gets on."""

    @property
    def title(self) -> str:
        """What messages call it: ``search index [i] of table [t]``."""

    @property
    def table(self) -> str: ...

    @property
    def table_id(self) -> int: ...

    @property
    def needs_expired(self) -> bool:
        """Whether it is filled with rows that have expired, too, as long as they are stored."""

    @property
    def rows(self) -> int:
        """That it has."""

    @property
    def progress(self) -> Progress:
        """Of what has been applied."""

    @property
    def durable_position(self) -> int:
        """Changes up to this sequence are not needed any more, not even after a crash."""

    @property
    def indexed_position(self) -> int:
        """Changes up to this sequence are stored in the form they are meant to have in the end."""

    @property
    def waiting(self) -> int:
        """How many buffers wait to be written out: where there are many, less is taken in."""

    @property
    def error(self) -> str | None:
        """What maintenance failed by last, until it succeeds."""

    @property
    def is_open(self) -> bool: ...

    @property
    def is_torn(self) -> bool:
        """Whether an error left it half changed: it has to begin again."""

    def open(self) -> int:
        """Takes up what is stored. Returns the table's time to live in seconds that rows were dropped by, -1: none.

        Raises StorageFailure, Fenced, Corruption, ObjectMissing.
        """

    def keep_showing(self) -> None:
        """Of a torn one: what it shows now is shown until `shows_all`. Raises StorageFailure, Corruption."""

    def begin_again(self) -> Callable[[], object]:
        """Goes back to what is stored, not open yet. At once; what is returned lets go of the rest."""

    def shows_all(self) -> None:
        """All of the table has been applied: nothing from before `begin_again` is shown any more."""

    def require_writer(self) -> None:
        """Raises Fenced where another process has taken over."""

    def apply(self, rows: Sequence[Row], gone: Sequence[PrimaryKey] = ()) -> None:
        """Removes the rows of ``gone``, then puts ``rows`` in place of those of the same keys; all as one.

        Raises Fenced, StorageFailure, Corruption; then nothing has changed. After other errors it may be torn.
        """

    def reached(self, progress: Progress) -> None:
        """Tells how far all that was applied so far brings it."""

    def follow_ttl(self, table_ttl_s: int) -> None:
        """Notes how long values of the table live, in seconds, -1 for ever."""

    def drop_expired(self) -> None:
        """Drops rows that have outlived that. Raises as `apply`."""

    def outdated(self, count: int) -> list[PrimaryKey]:
        """Rows, ``count`` at most, of which a value has expired that it still has. Raises as `apply`."""

    def encode(self, key: PrimaryKey) -> bytes:
        """The form in which ``Progress`` names keys. Raises InvalidPrimaryKey."""

    def decode(self, key: bytes) -> PrimaryKey:
        """The key of that form. Raises Corruption."""

    def damage(self, error: Corruption | ObjectMissing) -> LutraError:
        """What to tell of what it has stored and that is lost or damaged."""

    def is_due(self, now_s: float) -> bool:
        """Whether there is something to maintain, at ``now_s`` of ``time.monotonic``."""

    def maintain(self) -> None:
        """Does what takes long: writes out, merges, tidies up."""

    def end(self) -> None:
        """Has what is under way break off where it can. Returns at once."""

    def close(self, wait_s: float) -> bool:
        """Lets go of what it holds. False: maintenance did not end in that time, and nothing was let go."""

    def delete(self) -> None:
        """Deletes all it has stored; once it is closed. Raises StorageFailure."""
