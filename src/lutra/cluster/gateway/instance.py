"""One instance of a cluster: what `lutra.instance.instance.Instance` is to one machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lutra.cluster.gateway.indexes import GatewayIndexes
from lutra.cluster.gateway.names import Names
from lutra.cluster.gateway.router import Router
from lutra.cluster.gateway.scans import GatewayScans
from lutra.cluster.gateway.schema_changes import SchemaChanges
from lutra.cluster.gateway.search import GatewaySearches
from lutra.cluster.gateway.streams import GatewayStreams
from lutra.cluster.gateway.tables import GatewayTables
from lutra.model.errors import ObjectNotExist
from lutra.model.indexes import IndexDescription, IndexSchema, IndexUpdate
from lutra.model.queries import SearchRequest, SearchResult
from lutra.model.rows import KeyInput
from lutra.model.scans import ScanRequest, ScanResult
from lutra.model.schema import SecondaryIndex, TableDescription, TableSchema, TableUpdate
from lutra.model.streams import StreamDescription, StreamIterator, StreamPage
from lutra.tables import schemas
from lutra.tables.indexschemas import check_index


class GatewayInstance:
    """Thread-safe. Made by `GatewayEngine.instance`."""

    def __init__(self, name: str, router: Router, names: Names, changes: SchemaChanges) -> None:
        self.name = name
        self.tables = GatewayTables(name, router, names, changes)
        self._names = names
        self._changes = changes
        self._streams = GatewayStreams(name, router, names)
        self._indexes = GatewayIndexes(name, router, names, changes, changes.clock)
        self._searches = GatewaySearches(router, self._indexes)
        self._scans = GatewayScans(router, self._indexes)

    # --- tables -------------------------------------------------------------------------------------------------------

    def create_table(self, schema: TableSchema) -> TableDescription:
        """As `Instance.create_table`; ``splits`` of the schema are where its partitions begin."""
        return self._changes.create_table(self.name, schema)

    def update_table(self, name: str, update: TableUpdate) -> TableDescription:
        try:
            self._names.table(self.name, name)
        except ObjectNotExist:
            schemas.check_update(update)
            raise
        return self._changes.update_table(self.name, name, update)

    def delete_table(self, name: str) -> None:
        self._names.table(self.name, name)
        self._changes.delete_table(self.name, name)

    def create_secondary_index(self, table: str, index: SecondaryIndex) -> None:
        check_index(index)
        self._names.table(self.name, table)
        self._changes.create_secondary_index(self.name, table, index)

    def drop_secondary_index(self, table: str, index: str) -> None:
        self._names.table(self.name, table)
        self._changes.drop_secondary_index(self.name, table, index)

    # --- streams ------------------------------------------------------------------------------------------------------

    def list_streams(self, table: str | None = None) -> list[StreamDescription]:
        return self._streams.of_tables(table)

    def describe_stream(self, stream_id: str) -> StreamDescription:
        return self._streams.describe(stream_id)

    def stream_iterator(self, stream_id: str, shard_id: str, since_us: int | None = None) -> StreamIterator:
        return self._streams.iterator(stream_id, shard_id, since_us)

    def read_stream(self, at: StreamIterator, limit: int, bytes_max: int) -> StreamPage:
        return self._streams.read(at, limit, bytes_max)

    # --- search indexes -----------------------------------------------------------------------------------------------

    def create_search_index(self, table: str, index: str, schema: IndexSchema, source: str | None = None) -> None:
        self._indexes.create(table, index, schema, source)

    def update_search_index(self, table: str, index: str, update: IndexUpdate) -> None:
        self._indexes.update(table, index, update)

    def describe_search_index(self, table: str, index: str) -> IndexDescription:
        return self._indexes.describe(table, index)

    def list_search_indexes(self, table: str | None = None) -> list[tuple[str, str]]:
        return self._indexes.names(table)

    def delete_search_index(self, table: str, index: str) -> None:
        self._indexes.delete(table, index)

    # --- searches -----------------------------------------------------------------------------------------------------

    def when_opened(self, table: str, index: str, call: Callable[[], None]) -> Callable[[], None] | None:
        """Always None: what a partition does not have open yet is waited for as one that is on its way is."""
        self._indexes.index(table, index)
        return None

    def check_opened(self, table: str, index: str) -> None:
        self._indexes.index(table, index)

    def search_opened(
        self, table: str, index: str, request: SearchRequest, routing: Sequence[KeyInput] = ()
    ) -> SearchResult:
        return self._searches.search(table, index, request, routing)

    def begin_scan(self, table: str, index: str) -> bytes:
        return self._scans.begin(table, index)

    def scan_splits(self, session: bytes) -> int:
        return self._scans.splits(session)

    def scan(self, table: str, index: str, request: ScanRequest) -> ScanResult:
        return self._scans.scan(table, index, request)
