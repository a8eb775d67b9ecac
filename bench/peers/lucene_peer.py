"""Lucene, in a process of Java behind the loopback protocol of all libraries: HNSW over float32, int8, 1 bit; flat.

Maven installs lucene-core, which takes a JDK of 21 or newer: JAVA_HOME's, that of the path, or the newest of
/usr/lib/jvm.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from bench.peers.data import Among, DataSet
from bench.peers.hosted import HostedLibrary, listening
from bench.peers.peer import HOSTED, Limits, PeerUnavailable, Setting

VERSION: Final = "10.6.0"
_JDK_LEAST: Final = 21
_INSTALLS_WITHIN_S: Final = 600
_PROGRAM: Final = Path(__file__).with_name("LuceneHost.java")
_CANDIDATES: Final = (10, 15, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480, 640, 1_000)
_PROJECT: Final = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>lutra</groupId><artifactId>peers</artifactId><version>1</version>
<dependencies><dependency><groupId>org.apache.lucene</groupId><artifactId>lucene-core</artifactId>
<version>{VERSION}</version></dependency></dependencies>
</project>
"""


class _Settings:
    """What `HostedLibrary` asks of a library on this side."""

    takes_rows = True

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def ways(self, among: Among) -> Sequence[Sequence[Setting]]:
        """Candidates of the graph; codes are re-ranked by raw vectors, all candidates of them."""
        if self._kind == "flat":
            return [[{}]]
        if self._kind == "float32":
            return [[{"candidates": count} for count in _CANDIDATES]]
        return [[{"candidates": count, "rescore": count} for count in _CANDIDATES]]


@dataclass(frozen=True, slots=True)
class Lucene:
    """``kind``: float32, int8, 1bit, flat. The heap is half of the memory limit, the rest is for mapped files."""

    kind: str
    door = HOSTED

    @property
    def name(self) -> str:
        return f"lucene-{self.kind}"

    def version(self) -> str:
        if shutil.which("mvn") is None:
            raise PeerUnavailable("not installed: apt-get install maven, and a JDK of 21 or newer")
        java()
        return f"lucene-core {VERSION}"

    @contextmanager
    def run(self, folder: Path, data: DataSet, limits: Limits) -> Iterator[HostedLibrary]:
        heap = [f"-Xmx{limits.memory_mb // 2}m", "--add-modules", "jdk.incubator.vector"]
        flags = ["--enable-native-access=ALL-UNNAMED", "-cp", str(archive(folder.parent / "lucene"))]
        command = [str(java()), *heap, *flags, str(_PROGRAM), self.kind, str(folder), str(data.folder)]
        log = folder.with_name(folder.name + ".log")
        with listening(command, log, dict(os.environ)) as (pid, port):
            yield HostedLibrary(_Settings(self.kind), folder, pid, port, limits)


@cache
def java() -> Path:
    """A program java that is new enough. Raises PeerUnavailable."""
    homes = [Path(os.environ["JAVA_HOME"])] if "JAVA_HOME" in os.environ else []
    on_path = shutil.which("java")
    if on_path is not None:
        homes.append(Path(on_path).resolve().parent.parent)
    homes += sorted(Path("/usr/lib/jvm").glob("*"), reverse=True)
    for home in homes:
        program = home / "bin" / "java"
        if (home / "bin" / "javac").exists() and _release(program) >= _JDK_LEAST:
            return program
    raise PeerUnavailable(f"no JDK of {_JDK_LEAST} or newer: set JAVA_HOME to one")


def _release(program: Path) -> int:
    told = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    found = re.search(r'version "(\d+)', told)
    return int(found[1]) if found else 0


def archive(folder: Path) -> Path:
    """The jar, in a folder of its own. Raises PeerUnavailable where Maven does not bring it."""
    jar = folder / "lib" / f"lucene-core-{VERSION}.jar"
    if not jar.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pom.xml").write_text(_PROJECT)
        command = ["mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies", f"-DoutputDirectory={jar.parent}"]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_INSTALLS_WITHIN_S, check=False
        )
        if done.returncode or not jar.exists():
            raise PeerUnavailable(f"Maven did not bring lucene-core {VERSION}: {(done.stdout + done.stderr)[-400:]}")
    return jar
