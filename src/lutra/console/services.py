"""What lives as long as the console does."""

from __future__ import annotations

from contextlib import ExitStack

from lutra.console.jobs import Jobs
from lutra.console.nodes import ThisNode
from lutra.console.options import ConsoleOptions
from lutra.console.sampler import Sampler
from lutra.console.uploads import Uploads
from lutra.console.vector_map import Frames
from lutra.instance.database import Database, database_of
from lutra.instance.engine import Engine
from lutra.instance.served_directory import ServedDirectory
from lutra.server.observe.metrics import Metrics


class ConsoleServices:
    """The engine, the server's metrics, and what works in the background. Thread-safe."""

    def __init__(self, engine: Engine, metrics: Metrics, options: ConsoleOptions) -> None:
        self.engine = engine
        self.metrics = metrics
        self.options = options
        self.frames = Frames()
        """Of the maps that were looked at last."""
        self.uploads = Uploads(engine.data_dir)
        self.jobs = Jobs()
        self._directory = ServedDirectory(engine)
        self.node = ThisNode(engine)
        self.sampler = Sampler(engine, metrics)
        self._closing = ExitStack()
        self._closing.callback(self.sampler.close)
        self._closing.callback(self.uploads.close)
        self._closing.callback(self.jobs.close)
        self.sampler.start()

    def database(self, instance: str) -> Database:
        """The tables of an instance, as the embedded API has them. Raises ObjectNotExist."""
        return database_of(self._directory, instance)

    def close(self) -> None:
        """Ends what works in the background, in the opposite order of its beginning."""
        self._closing.close()
