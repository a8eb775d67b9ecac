"""Everything in one data directory: the store, its tables and search indexes, and its instances."""

from __future__ import annotations

import os
import threading
from functools import partial
from pathlib import Path
from typing import Final, Self

from lutra.backup.record import Backup
from lutra.index.builds.opening import LOCAL
from lutra.index.lsm.resources import Resources
from lutra.instance import registry
from lutra.instance.backing_up import back_up
from lutra.instance.data_dir import data_dir_of
from lutra.instance.defaults import MEMORY_BYTES_DEFAULT
from lutra.instance.embedding_followers import EmbeddingFollowers
from lutra.instance.instance import Instance
from lutra.instance.memory_keeper import MemoryKeeper
from lutra.instance.memory_plan import MemoryPlan
from lutra.instance.partition import Examine, Partition
from lutra.instance.process_memory import resident_bytes
from lutra.instance.recall_file import write_recall
from lutra.instance.recall_sampler import IndexKey, RecallSampler
from lutra.instance.rows_place import RowsPlace
from lutra.instance.traces import require_tables_or_nothing
from lutra.kv.folder import make_durable_folder
from lutra.kv.opening import MEMORY_BYTES_DEFAULT as ROWS_BYTES_DEFAULT
from lutra.model import forks
from lutra.model.clock import Clock, SystemClock
from lutra.model.errors import ObjectNotExist, StorageFailure
from lutra.model.queries import SearchRequest
from lutra.search.nodes.knn import Sampled

_FOLDER_MODE: Final = 0o700


class Engine:
    """A data directory that is open. One process has it at a time; all methods may be called from any thread.

    In a process forked from that one every method raises ForkedProcess, but ``close``, which does nothing there.

    ::

        DIR/kv/           rows, changes and definitions (RocksDB), unless they are elsewhere
        DIR/rows/         where they are then (`lutra.instance.rows_place`)
        DIR/objects/      segments of search indexes, unless they are elsewhere
        DIR/scratch/      segments that are being built
        DIR/instances/    a folder for each instance
        DIR/imports/      how far imports have come that were broken off (`lutra.transfer.checkpoint`)
        DIR/embeds/       how far the making of vectors has come (`lutra.instance.embedding_follower`)
        DIR/uploads/      files on their way through the console (`lutra.console.uploads`)
    """

    def __init__(self, data_dir: Path, partition: Partition, plan: MemoryPlan | None = None) -> None:
        self._data_dir = data_dir
        self._process = forks.OfProcess()
        self.partition = partition
        """To look at."""
        self._lock = threading.Lock()
        self._closed = False
        self._instances: dict[str, Instance] = {}
        self.embeddings: dict[str, EmbeddingFollowers] = {}
        """By instance, where rows get their vectors as they are written (`embed_changes`). To look at."""
        forks.follow(self)
        self.memory = MemoryKeeper(partition.resources, plan)
        """What all of it takes. To look at."""
        self.recall = self._sampler(0)
        """What searches find of the true neighbours, as far as that is measured. To look at."""
        try:
            self._reopen_indexes()
        except BaseException:
            self.memory.stop()
            partition.stop()
            raise

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        objects: str | os.PathLike[str] | None = None,
        rows: str | os.PathLike[str] | None = None,
        memory_bytes: int | None = None,
        build_memory_bytes: int | None = None,
        builders: str = LOCAL,
        memory_limit_bytes: int | None = None,
        clock: Clock | None = None,
    ) -> Self:
        """Opens the data directory ``path``, making it where there is none.

        :param objects: where segments of search indexes are: a folder, or ``s3://bucket/prefix``; None: in ``path``.
        :param rows: where rows are, if not in ``path``: ``s3://bucket/prefix``, or a folder as an object store. The
            directory remembers it. They are then taken from whoever has them open elsewhere.
        :param memory_bytes: what search indexes keep in memory of their segments; their buffers come beside it. None:
            512 MB, or what the limit leaves for it.
        :param memory_limit_bytes: what this process and those that build for it may take, all of it
            (`lutra.instance.memory_plan`). None: there is no such limit.
        :param build_memory_bytes: what one build of a segment may take, in a process of its own: 448 MB or more. It
            says what a segment can grow to. None: a quarter of the machine's memory, or of the container's.
        :param builders: who builds: ``local`` processes, or tasks of ``ray``, with ``:COUNT`` large builds at once.
        :raises ParameterInvalid: it, or its objects, cannot be there; ForeignObjects: there are another store's.
        :raises Corruption: it is damaged, or not all of it is there.
        :raises DirectoryInUse: somebody has it. :raises StorageFailure: it cannot be used.
        """
        data_dir = data_dir_of(path)
        plan = None
        if memory_limit_bytes is not None:
            plan = MemoryPlan.of(
                memory_limit_bytes, resident_bytes(), segments_bytes=memory_bytes, build_bytes=build_memory_bytes
            )
        require_tables_or_nothing(data_dir)
        place = RowsPlace(data_dir, rows)
        try:
            make_durable_folder(data_dir, _FOLDER_MODE)
        except OSError as error:
            raise StorageFailure(f"cannot use {data_dir} as a data directory: {error.strerror}") from error
        address = os.fspath(data_dir / "objects" if objects is None else objects)
        place.require_apart(address)

        def share(examine: Examine) -> Resources:
            scratch = data_dir / "scratch"
            if plan is None:
                segments_bytes = MEMORY_BYTES_DEFAULT if memory_bytes is None else memory_bytes
                return Resources.open(address, scratch, segments_bytes, examine, build_memory_bytes, builders)
            return plan.resources(address, scratch, examine, builders)

        rows_bytes = ROWS_BYTES_DEFAULT if plan is None else plan.rows_bytes
        partition = Partition.open(place, address, data_dir, share, clock or SystemClock(), rows_bytes)
        try:
            return cls(data_dir, partition, plan)
        except BaseException:
            partition.resources.close()
            partition.close()
            raise

    @property
    def data_dir(self) -> Path:
        return self._data_dir

    @property
    def resources(self) -> Resources:
        """What all search indexes share: their store, cache, memory and builders. To look at."""
        return self.partition.resources

    def create_instance(self, name: str) -> None:
        """Makes an instance. Raises ParameterInvalid, ObjectAlreadyExist, StorageFailure."""
        self._process.check()
        registry.create_instance(self._data_dir, name)

    def instance_names(self) -> list[str]:
        """The names of all instances, sorted."""
        self._process.check()
        return registry.instance_names(self._data_dir)

    def instance(self, name: str) -> Instance:
        """The instance of that name, also where another process has just made it. Raises ObjectNotExist."""
        self._process.check()
        with self._lock:
            if self._closed:
                raise StorageFailure(f"the data directory {self._data_dir} is closed")
            found = self._instances.get(name)
            if found is None:
                if not registry.instance_exists(self._data_dir, name):
                    raise ObjectNotExist(f"Requested instance {name!r} does not exist.")
                found = self._made(name)
            return found

    def measure_recall(self, share: float) -> None:
        """Has that share of the searches for neighbours, 0 to 1, made once more while nobody searches, and compared
        with what is all but surely true. Once, right after it is opened."""
        self._process.check()
        with self._lock:
            self.recall = self._sampler(share)
            for instance in self._instances.values():
                instance.recall = self.recall
        self.recall.start()

    def _sampler(self, share: float) -> RecallSampler:
        return RecallSampler(share, self._shadowed, save=partial(write_recall, self._data_dir))

    def _shadowed(self, of: IndexKey, request: SearchRequest) -> Sampled | None:
        return self.instance(of.instance).shadow(of.table, of.name, request)

    def back_up(self, place: str | os.PathLike[str]) -> Backup:
        """As `lutra.instance.backing_up.back_up`, while it goes on."""
        self._process.check()
        return back_up(self._data_dir, place, objects=self.partition.resources.address)

    def embed_changes(self) -> None:
        """Has rows that are written from now on get the vectors that their tables' models make, whoever writes them.

        Right after it is opened, before changes of an earlier run are forgotten.
        """
        self._process.check()
        self._look_at_models()
        self.partition.feeder.regularly(self._look_at_models)

    def _look_at_models(self) -> None:
        for name in self.instance_names():
            followers = self.embeddings.get(name)
            if followers is None:
                self.embeddings[name] = EmbeddingFollowers(self.instance(name), self.partition, self._data_dir)
            else:
                followers.look()

    def close(self) -> None:
        """Ends all use of the directory; a second close does nothing."""
        if not self._process.is_this:
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.recall.stop()
        self.memory.stop()
        self.partition.stop()
        self.partition.resources.close()
        self.partition.close()

    def forked(self) -> None:
        """In a child all that belongs to it, threads in particular, is the parent's: it is never freed there."""

    def _made(self, name: str) -> Instance:
        made = Instance(name, self.partition)
        made.recall = self.recall
        self._instances[name] = made
        return made

    def _reopen_indexes(self) -> None:
        partition = self.partition
        for name in partition.space.instance_names():  # a directory may be new, and its rows not
            if not registry.instance_exists(self._data_dir, name):
                registry.create_instance(self._data_dir, name)
        deleted = partition.indexes.deleted()
        for name in self.instance_names():  # first: what they need of the changes is trimmed by nobody then
            (self._instances.get(name) or self._made(name)).reopen_secondary_indexes()
        for definition in partition.indexes.all():
            instance = self._instances.get(definition.instance) or self._made(definition.instance)
            instance.reopen_index(definition)
        # An earlier run may have left changes that nobody needs any more.
        for name in self.instance_names():
            tables = partition.space.instance(name)
            partition.feeder.hurry(tables.describe(table).table_id for table in tables.names())
        # Rows are served meanwhile, whatever the store of objects does.
        partition.sweep(deleted)
