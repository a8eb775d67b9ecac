"""kill -9 of a process that puts: every object it acknowledged is there and whole, and no other is torn."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lutra.objects.local import UNFINISHED, LocalStore
from lutra.objects.manifest_log import ManifestLog

WRITER = """
import hashlib, itertools, sys
from pathlib import Path
from lutra.objects.local import LocalStore
from lutra.objects.manifest_log import ManifestLog

root, life = Path(sys.argv[1]), int(sys.argv[2])
store = LocalStore(root)
log = ManifestLog(store, "manifest")
number = (log.latest() or (0, b""))[0]
for i in itertools.count():
    name = f"f{i % 7}/{life}-{i}"
    content = (name.encode() * 1000)[: (i * 7919) % 9000]
    data = hashlib.sha256(content).digest() + content
    if i % 3 == 0:
        store.put(name, data)
    elif i % 3 == 1:
        assert store.put_if_absent(name, data)
    else:
        path = root.parent / f"built-{life}-{i}"
        path.write_bytes(data)
        store.put_file(name, path)
    number = log.commit(number + 1, name.encode())
    print(name, number, flush=True)
"""


def life_of_a_writer(root: Path, life: int, seconds: float) -> list[tuple[str, int]]:
    """What it acknowledged before it was killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), str(life)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    printed = process.stdout.readline()
    time.sleep(seconds)
    assert process.poll() is None, process.stderr.read() if process.stderr else b""
    process.send_signal(signal.SIGKILL)
    rest, errors = process.communicate(timeout=30)
    assert not errors
    whole = (printed + rest).rpartition(b"\n")[0].decode().splitlines()
    return [(name, int(number)) for name, number in (line.split() for line in whole)]


def check(root: Path, acknowledged: list[tuple[str, int]]) -> None:
    store = LocalStore(root)
    assert os.listdir(root / UNFINISHED) == ["lock"]
    names = set(store.list("")) - set(store.list("manifest"))
    assert {name for name, _ in acknowledged} <= names
    for name in names:
        data = store.get(name)
        assert hashlib.sha256(data[32:]).digest() == data[:32], f"{name} is torn"
    log = ManifestLog(store, "manifest")
    for name, number in acknowledged:
        assert log.read(number) == (number, name.encode())
    newest = log.latest()
    assert newest is not None
    assert newest.number >= acknowledged[-1][1]


def run_lives(root: Path, lives: int, seed: int) -> None:
    chance = random.Random(seed)
    acknowledged: list[tuple[str, int]] = []
    for life in range(lives):
        acknowledged += life_of_a_writer(root, life, chance.uniform(0.0, 0.3))
        check(root, acknowledged)
    assert len(acknowledged) >= lives


def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path) -> None:
    run_lives(tmp_path / "objects", lives=3, seed=1)


@pytest.mark.slow
def test_what_was_acknowledged_outlives_many_kills(tmp_path: Path) -> None:
    run_lives(tmp_path / "objects", lives=40, seed=2)
