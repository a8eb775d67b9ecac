"""A local folder against a dictionary: any sequence of operations, opened anew now and then."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lutra.model.errors import ObjectMissing, StorageFailure
from lutra.objects.local import LocalStore

# No name is the folder of another.
NAMES = st.sampled_from(["a", "b/1", "b/2", "b/c/1", "b/c/2", "manifest/001", "manifest/002", "x-y_z.0/1"])
FOLDERS = st.sampled_from(["", "b", "b/", "b/c", "manifest", "x-y_z.0", "a", "none"])
DATA = st.binary(max_size=200)


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="lutra-objects-"))
        self.store = LocalStore(self.folder / "objects")
        self.model: dict[str, bytes] = {}

    @rule(name=NAMES, data=DATA)
    def put(self, name: str, data: bytes) -> None:
        self.store.put(name, data)
        self.model[name] = data

    @rule(name=NAMES, data=DATA)
    def put_if_absent(self, name: str, data: bytes) -> None:
        assert self.store.put_if_absent(name, data) == (name not in self.model)
        self.model.setdefault(name, data)

    @rule(name=NAMES, data=DATA)
    def put_file(self, name: str, data: bytes) -> None:
        path = self.folder / "built"
        path.write_bytes(data)
        self.store.put_file(name, path)
        assert not path.exists()
        self.model[name] = data

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        self.store.delete(name)
        self.model.pop(name, None)

    @rule(name=NAMES)
    def get(self, name: str) -> None:
        if name in self.model:
            assert self.store.get(name) == self.model[name]
            assert self.store.size(name) == len(self.model[name])
            return
        for read in (self.store.get, self.store.size):
            with pytest.raises(ObjectMissing):
                read(name)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), offset=st.integers(0, 220), length=st.integers(0, 220))
    def read(self, data: st.DataObject, offset: int, length: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.model)))
        whole = self.model[name]
        if offset + length <= len(whole):
            assert self.store.read(name, offset, length) == whole[offset : offset + length]
            assert self.store.read_many(name, [(offset, length), (0, 0)]) == [whole[offset : offset + length], b""]
        else:
            with pytest.raises(StorageFailure):
                self.store.read(name, offset, length)

    @rule()
    def open_anew(self) -> None:
        self.store = LocalStore(self.folder / "objects")

    @rule(folder=FOLDERS)
    def list(self, folder: str) -> None:
        prefix = f"{folder.rstrip('/')}/" if folder else ""
        assert self.store.list(folder) == sorted(name for name in self.model if name.startswith(prefix))

    @invariant()
    def nothing_is_left_unfinished(self) -> None:
        assert [path.name for path in (self.folder / "objects" / ".unfinished").iterdir()] == ["lock"]

    def teardown(self) -> None:
        shutil.rmtree(self.folder)


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
