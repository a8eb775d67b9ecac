"""What lives as long as the console does."""

from __future__ import annotations

from contextlib import ExitStack

from lutra.console.options import ConsoleOptions
from lutra.console.vector_map import Frames
from lutra.instance.engine import Engine
from lutra.server.observe.metrics import Metrics


class ConsoleServices:
    """The engine, the server's metrics, and what works in the background. Thread-safe."""

    def __init__(self, engine: Engine, metrics: Metrics, options: ConsoleOptions) -> None:
        self.engine = engine
        self.metrics = metrics
        self.options = options
        self.frames = Frames()
        """Of the maps that were looked at last."""
        self._closing = ExitStack()

    def close(self) -> None:
        """Ends what works in the background, in the opposite order of its beginning."""
        self._closing.close()
