"""What a request names, found in the map: tables, and secondary indexes that are read as tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lutra.cluster.gateway.views import MapView
from lutra.cluster.map import ClusterMap, TableEntry
from lutra.model.errors import LutraError
from lutra.model.rows import KeyInput
from lutra.model.schema import IndexKind, SecondaryIndex, TableDescription
from lutra.model.values import INF_MAX, INF_MIN
from lutra.tables import schemas
from lutra.tables.indexnames import refusal
from lutra.tables.indexrows import IndexRows, description_of
from lutra.tables.keys import KeyCodec
from lutra.tables.refusals import no_table

_CODECS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Routed:
    """A table, or a local index, as its rows are found: by the partition key, which an index has from its table.

    ``uid``: of the table whose partitions have them.
    """

    name: str
    uid: int
    keys: KeyCodec

    def route(self, key: KeyInput) -> bytes:
        """Whose partition a row is: that of this encoded key.

        Of a key that does not go with the table any: its owner says what is wrong with it.
        """
        try:
            return self.keys.encode_partition_key(key[:1])
        except (LutraError, IndexError):
            return b""

    def route_bound(self, bound: KeyInput) -> bytes | None:
        """As `route`, of a bound of a range; None: it is behind all keys."""
        first = bound[0][1] if bound else None
        return None if first is INF_MAX else b"" if first is INF_MIN else self.route(bound)


class Names:
    """The tables of all instances. Thread-safe.

    What is not in the map that is known is looked for in the newest: another gateway may just have made it.
    """

    def __init__(self, maps: MapView) -> None:
        self._maps = maps
        self._codecs: dict[int, KeyCodec] = {}
        self._indexes: tuple[int, dict[tuple[str, str], tuple[TableEntry, SecondaryIndex]]] = (-1, {})

    def table(self, instance: str, name: str, since_s: float | None = None) -> TableEntry:
        """Raises ObjectNotExist, and ParameterInvalid for an index, and for what can be no table's name.

        ``since_s``: a map that was read since then is new enough; here and below.
        """
        return self._maps.found(lambda known: self._table(known, instance, name), since_s)

    def routed(self, known: ClusterMap, instance: str, name: str) -> Routed:
        """A table to be written to, by that map. Raises as `table`."""
        entry = self._table(known, instance, name)
        return Routed(name, entry.uid, self._codec(entry))

    def readable(self, known: ClusterMap, instance: str, name: str) -> Routed:
        """A table or a secondary index to be read, by that map. Raises ObjectNotExist, ParameterInvalid."""
        found = None if known.has_table(instance, name) else self._indexes_of(known).get((instance, name))
        if found is None:
            return self.routed(known, instance, name)
        entry, index = found
        if index.kind is IndexKind.LOCAL:
            return Routed(name, entry.uid, self._codec(entry))
        rows = known.by_uid(index.index_id)
        assert rows is not None  # each global index of a table is one
        return Routed(name, rows.uid, self._codec(rows))

    def require_readable(self, instance: str, name: str, since_s: float | None = None) -> Routed:
        """As `readable`, by the map as it is known, or is now."""
        return self._maps.found(lambda known: self.readable(known, instance, name), since_s)

    def described(self, instance: str, name: str) -> TableDescription:
        """Of a table, or of a secondary index as a table, as the map is now. Raises as `table`."""
        known = self._maps.read()
        found = self._indexes_of(known).get((instance, name))
        if found is None:
            return self.table(instance, name).description
        entry, index = found
        return description_of(entry.description, IndexRows(entry.schema, index))

    def global_index(self, instance: str, name: str) -> SecondaryIndex | None:
        """The global secondary index of that name, as far as is known."""
        found = self._indexes_of(self._maps.known).get((instance, name))
        return found[1] if found is not None and found[1].kind is IndexKind.GLOBAL else None

    def index(self, instance: str, name: str) -> tuple[TableEntry, SecondaryIndex]:
        """A secondary index and its table. Raises ObjectNotExist."""

        def find(known: ClusterMap) -> tuple[TableEntry, SecondaryIndex]:
            found = self._indexes_of(known).get((instance, name))
            if found is None:
                raise no_table()
            return found

        return self._maps.found(find)

    def _table(self, known: ClusterMap, instance: str, name: str) -> TableEntry:
        if not known.has_table(instance, name):
            if (instance, name) in self._indexes_of(known):
                raise refusal(name)
            schemas.check_table_name(name)
        return known.table(instance, name)

    def _codec(self, entry: TableEntry) -> KeyCodec:
        """The key of a table never changes, nor that of an index."""
        codec = self._codecs.get(entry.uid)
        if codec is None:
            if len(self._codecs) >= _CODECS_MAX:
                self._codecs.clear()
            codec = self._codecs[entry.uid] = KeyCodec(b"", entry.schema.key)
        return codec

    def _indexes_of(self, known: ClusterMap) -> dict[tuple[str, str], tuple[TableEntry, SecondaryIndex]]:
        version, indexes = self._indexes
        if version != known.version:
            indexes = {
                (table.instance, index.name): (table, index) for table in known.tables for index in table.schema.indexes
            }
            self._indexes = known.version, indexes
        return indexes
