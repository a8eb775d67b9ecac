"""The unit and the Debian package's parts: what they call exists, and what they promise is in them."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from lutra.cli.serve import serve
from lutra.server.auth.credentials import ENVIRONMENT_ID, ENVIRONMENT_SECRET
from tools.debian import glibc_minor

PACKAGING = Path(__file__).parents[2] / "packaging"
UNIT = PACKAGING / "systemd" / "lutra.service"
ENVIRONMENT = PACKAGING / "systemd" / "lutra.env"
OPTIONS = {name for parameter in serve.params for name in parameter.opts}


@pytest.fixture(scope="module")
def service() -> dict[str, str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text())
    return dict(parser["Service"])


def test_the_server_is_called_as_it_wants_to_be(service: dict[str, str]) -> None:
    program, command, *arguments = shlex.split(service["ExecStart"])
    assert (program, command) == ("/opt/lutra/bin/lutra", "serve")
    assert {word for word in arguments if word.startswith("--")} <= OPTIONS
    assert f"/var/lib/{service['StateDirectory']}" in arguments
    assert arguments[arguments.index("--memory-limit") + 1].endswith("%")
    assert arguments[-1] == "$LUTRA_OPTIONS"  # behind, so that its word is the last


def test_it_is_fenced_in(service: dict[str, str]) -> None:
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "yes"
    assert service["CapabilityBoundingSet"] == ""
    assert (service["StateDirectoryMode"], service["UMask"]) == ("0700", "0077")
    assert {"MemoryMax", "LimitNOFILE", "SystemCallErrorNumber"} <= set(service)
    assert (service["KillSignal"], service["Restart"]) == ("SIGTERM", "on-failure")
    assert int(service["TimeoutStopSec"]) > 30  # as long as what is under way may take


def test_the_environment_has_known_names_and_no_secret() -> None:
    lines = re.findall(r"^#?([A-Z_]+)=(.*)$", ENVIRONMENT.read_text(), re.MULTILINE)
    assert {ENVIRONMENT_ID, ENVIRONMENT_SECRET, "LUTRA_OPTIONS", "LUTRA_OBJECTS"} <= {name for name, _ in lines}
    assert [value for name, value in lines if "KEY" in name and value] == []
    options = next(value for name, value in lines if name == "LUTRA_OPTIONS")
    assert {word for word in options.split() if word.startswith("--")} <= OPTIONS


def test_scripts_of_the_package_are_shell_and_touch_no_rows() -> None:
    for name in ("postinst", "prerm", "postrm"):
        script = PACKAGING / "debian" / name
        subprocess.run(["sh", "-n", str(script)], check=True, timeout=60)
        assert script.read_text().startswith("#!/bin/sh\n")
        removed = re.findall(r"^.*\brm(?:dir)?\b.*$", script.read_text(), re.MULTILINE)
        assert not [line for line in removed if "/var/lib" in line]
    assert (PACKAGING / "debian" / "conffiles").read_text() == "/etc/lutra/lutra.env\n"


def test_the_least_glibc_is_read_from_the_name() -> None:
    assert glibc_minor("lutra-1.0-cp311-cp311-manylinux_2_34_x86_64.whl") == 34
    assert glibc_minor("lutra-1.0-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl") == 27


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not there")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/lutra/bin/lutra", "/bin/true").replace("file:///usr", "file:/usr"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, [line for line in done.stderr.splitlines() if UNIT.name in line]) == (0, [])
