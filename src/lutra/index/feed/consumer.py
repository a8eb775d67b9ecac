"""A search index as what follows its table's changes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lutra.feed.progress import Progress
from lutra.index.definitions.definition import IndexDefinition
from lutra.index.lsm.index import CLOSE_WAIT_S, SearchIndex
from lutra.index.lsm.provenance import Provenance
from lutra.index.lsm.resources import Resources
from lutra.index.lsm.storage import IndexStorage, prefix_of
from lutra.index.lsm.view import IndexView
from lutra.model import limits
from lutra.model.clock import Clock
from lutra.model.errors import Corruption, Fenced, ForeignObjects, IndexDamaged, LutraError, ObjectMissing
from lutra.model.rows import PrimaryKey, Row
from lutra.model.schema import KeyColumn
from lutra.tables.changelog import Changelog

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What searches see, taken together: an index that failed half way is followed by an empty one."""

    index: SearchIndex
    before: IndexView | None = None
    """What the index before this one showed, until this one shows as much."""


class IndexConsumer:
    """A `lutra.feed.consumer.ChangeConsumer`: one search index, through all that may befall it."""

    _storage_type: ClassVar[type[IndexStorage]] = IndexStorage

    def __init__(
        self,
        definition: IndexDefinition,
        key_columns: tuple[KeyColumn, ...],
        changelog: Changelog,
        resources: Resources,
        clock: Clock,
    ) -> None:
        """Reads nothing of the index yet."""
        self.definition = definition
        self.on_due: Callable[[], None] = lambda: None
        self.on_progress: Callable[[], None] = lambda: None
        self._key_columns = key_columns
        self._resources = resources
        self._clock = clock
        self._provenance = Provenance(changelog, definition.table_id, resources.claim)
        prefix = resources.place + prefix_of(definition)
        self._storage = self._storage_type(resources.store, prefix, self._provenance)
        self._before: IndexView | None = None
        self._shown = _Shown(self._new_index())

    def _new_index(self) -> SearchIndex:
        schema = self.definition.schema
        index = SearchIndex(schema, self._key_columns, self._storage, self._resources, self._clock)
        index.on_due = lambda: self.on_due()
        index.on_progress = lambda: self.on_progress()
        return index

    def redefine(self, definition: IndexDefinition) -> None:
        """As `IndexFeed.redefine`: the same objects, by another name perhaps; rows may live less long, not longer."""
        self.definition = definition
        self.index.redefine(definition.schema)

    @property
    def index(self) -> SearchIndex:
        """To look at."""
        return self._shown.index

    def view(self) -> IndexView:
        """What is searchable now; while the index is filled for the first time, what there is so far. Raises Fenced."""
        shown = self._shown
        return shown.index.view() if shown.before is None else shown.before

    @property
    def title(self) -> str:
        return f"search index [{self.definition.name}] of table [{self.definition.table}]"

    @property
    def table(self) -> str:
        return self.definition.table

    @property
    def table_id(self) -> int:
        return self.definition.table_id

    @property
    def needs_expired(self) -> bool:
        return False

    @property
    def rows(self) -> int:
        return self.index.rows

    @property
    def progress(self) -> Progress:
        return self.index.progress

    @property
    def durable_position(self) -> int:
        return self.index.durable_position

    @property
    def indexed_position(self) -> int:
        return self.index.indexed_position

    @property
    def waiting(self) -> int:
        return self.index.waiting_buffers

    @property
    def error(self) -> str | None:
        return self.index.error

    @property
    def is_open(self) -> bool:
        return self.index.is_open

    @property
    def is_torn(self) -> bool:
        return self.index.torn

    def open(self) -> int:
        return self.index.open()

    def keep_showing(self) -> None:
        self._before = self.view()

    def begin_again(self) -> Callable[[], object]:
        torn, before = self.index, self._before
        self._shown, self._before = _Shown(self._new_index(), before), None
        return torn.close

    def shows_all(self) -> None:
        if self._shown.before is not None:
            self._shown = _Shown(self.index)

    def require_writer(self) -> None:
        self.index.require_writer()

    def apply(self, rows: Sequence[Row], gone: Sequence[PrimaryKey] = ()) -> None:
        self.index.apply(rows, gone)

    def reached(self, progress: Progress) -> None:
        self.index.reached(progress)

    def follow_ttl(self, table_ttl_s: int) -> None:
        self.index.lifetime.table_ttl_s = table_ttl_s

    def drop_expired(self) -> None:
        self.index.drop_expired()

    def outdated(self, count: int) -> list[PrimaryKey]:
        return self.index.outdated(count)

    def encode(self, key: PrimaryKey) -> bytes:
        return self.index.encode(key)

    def decode(self, key: bytes) -> PrimaryKey:
        return self.index.decode(key)

    def damage(self, error: Corruption | ObjectMissing) -> LutraError:
        """What to tell of objects that are lost or damaged; or that who has taken their place may have deleted."""
        try:
            self._provenance.require_place()
        except Fenced as fenced:
            return Fenced(f"{self.title}: {fenced}")
        except LutraError:  # the place cannot be asked, or what says whose it is is damaged: it may be so, or not
            pass
        return IndexDamaged(
            f"{self.title} is damaged: {str(error).removesuffix('.')}. The table has all its rows: delete the index "
            "and create it again, or stop the server and run `lutra index rebuild`. `lutra fsck` tells all that is "
            "damaged."
        )

    def is_due(self, now_s: float) -> bool:
        return self.index.is_due(now_s)

    def maintain(self) -> None:
        self.index.maintain()

    def end(self) -> None:
        self.index.end()

    def close(self, wait_s: float = CLOSE_WAIT_S) -> bool:
        return self.index.close(wait_s)

    def delete(self) -> None:
        # Searches that began before it was closed go on in what they see.
        self.index.wait_unread(limits.SEARCH_TIMEOUT_MS_MAX / 1_000)
        try:
            self._storage.delete_all()
        except (Fenced, ForeignObjects) as error:
            _log.warning("objects of index [%s] are left: %s", self.definition.name, error)
