"""RocksDB for this process.

RocksDB keeps threads for flushes and compactions that serve all its stores. A forked process has none of them, and
waits for them for ever, also with a store of its own. So a process that was forked after its parent had opened a store
loads the library a second time, from a copy: with its own threads, and nothing of the parent's.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import rocksdict

from lutra.kernels.forks import begin_child

_NAME: Final = "rocksdict.rocksdict"
_FILE: Final = Path(str(sys.modules[_NAME].__file__))

_library: ModuleType | None = rocksdict
_is_used = False


def library() -> Any:
    """The module ``rocksdict`` to open a store with. Raises OSError where there is no room for a second one."""
    global _library, _is_used
    if _library is None:
        _library = _second()
    _is_used = True
    return _library


def _second() -> ModuleType:
    """The compiled module from a file of its own, which is gone when it returns."""
    data = _FILE.read_bytes()
    if hasattr(os, "memfd_create"):  # also where programs cannot be run from temporary folders
        descriptor = os.memfd_create("rocksdict", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "wb") as copy:
            copy.write(data)
            copy.flush()
            # Not /proc/self: a path that was loaded before, the loader takes for the same library.
            return _loaded(f"/proc/{os.getpid()}/fd/{descriptor}")
    with tempfile.NamedTemporaryFile(prefix="lutra-", suffix=".so") as copy:
        copy.write(data)
        copy.flush()
        return _loaded(copy.name)


def _loaded(path: str) -> ModuleType:
    loader = importlib.machinery.ExtensionFileLoader(_NAME, path)
    spec = importlib.util.spec_from_loader(_NAME, loader, origin=path)
    assert spec is not None
    known = sys.modules[_NAME]
    try:
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
    finally:
        sys.modules[_NAME] = known  # which is what others import
    return module


def _begin_child() -> None:
    global _library, _is_used
    if _is_used:
        _library, _is_used = None, False
        begin_child()


os.register_at_fork(after_in_child=_begin_child)
