"""How a process ends that was forked from one with native threads (``native/common/forks_python.cpp``).

Libraries that keep threads, RocksDB among them, join them when the process ends. A forked process has none of its
parent's threads, and would wait for them for ever, or crash.
"""

from __future__ import annotations

from lutra.kernels import _native


def begin_child() -> None:
    """To be called in the child: it ends, with its status, once Python and what it has loaded itself have ended.

    What its parent had loaded is not told, as with `os._exit`. Nothing is said of native objects that are left then.
    """
    _native.begin_child()
