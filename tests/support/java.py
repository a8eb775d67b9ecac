"""The official Java SDK as Maven installs it, for programs that use it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.server import ACCESS_KEY_ID, ACCESS_KEY_SECRET, ServerProcess

SDK_VERSION = "5.17.10"
_INSTALL_TIMEOUT_S = 600
_OUT_OF_REACH = re.compile(
    r"UnknownHost|Unknown host|Connection (refused|timed out|reset)|Network is unreachable|offline"
)
_PROJECT = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>lutra</groupId><artifactId>tests</artifactId><version>1</version>
<dependencies>{}</dependencies>
</project>
"""
_DEPENDENCY = """<dependency>
<groupId>com.aliyun.openservices</groupId><artifactId>{}</artifactId><version>{}</version>
</dependency>"""


def installed(folder: Path, **beside: str) -> Path:
    """A folder of the SDK's archives and of all that it needs, below ``folder``; else skips.

    ``beside``: versions of others of the SDK's group, by their names.
    """
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: programs of the Java SDK cannot run")
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {"tablestore": SDK_VERSION, **beside}
    dependencies = "".join(_DEPENDENCY.format(name, version) for name, version in wanted.items())
    (folder / "pom.xml").write_text(_PROJECT.format(dependencies))
    archives = folder / "lib"
    done = subprocess.run(
        ["mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies", f"-DoutputDirectory={archives}"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_INSTALL_TIMEOUT_S,
        check=False,
    )
    said = done.stdout + done.stderr
    if done.returncode != 0 and _OUT_OF_REACH.search(said):
        pytest.skip(f"Maven cannot reach its registry to install the Java SDK {SDK_VERSION}")
    assert done.returncode == 0, said
    return archives


def run(archives: Path, program: Path, *arguments: str, timeout_s: float) -> str:
    """What a program, one file of source, prints. Fails where it fails."""
    done = subprocess.run(
        ["java", "-cp", f"{archives}/*", program, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def answers(factory: pytest.TempPathFactory, program: Path, timeout_s: float) -> dict[str, str]:
    """What a program prints of a server of its own, by name: its lines ``> name: what``. The server foresaw it all."""
    archives = installed(factory.mktemp("java"))
    with ServerProcess(factory.mktemp("java-server") / "data") as server:
        access = (server.endpoint, ACCESS_KEY_ID, ACCESS_KEY_SECRET, server.instance)
        output = run(archives, program, *access, timeout_s=timeout_s)
        assert "Traceback" not in server.log_path.read_text()
    lines = (line.removeprefix("> ").split(": ", 1) for line in output.splitlines() if line.startswith("> "))
    return dict(lines)
