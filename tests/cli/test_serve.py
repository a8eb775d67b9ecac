"""``lutra serve`` as a process: first start, credentials, addresses, and the ways it can fail to start."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tablestore as ots
from support.lutra_command import run_lutra

LUTRA = [sys.executable, "-m", "lutra.cli.main"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("LUTRA_")}
KEY = {"LUTRA_ACCESS_KEY_ID": "me", "LUTRA_ACCESS_KEY_SECRET": "hush"}


@contextmanager
def serving(data: Path, *arguments: str, environment: dict[str, str] | None = None) -> Iterator[tuple[str, Path]]:
    """A running ``lutra serve``: its endpoint and where its stderr goes. Stopped by SIGINT, as Ctrl-C does."""
    errors = data.parent / "stderr"
    with errors.open("w") as file:
        process = subprocess.Popen(
            [*LUTRA, "serve", "--data", str(data), "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env=ENVIRONMENT | (environment or {}),
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("listening on http://"), errors.read_text()
        yield line.removeprefix("listening on ").strip(), errors
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
        assert process.stdout.read() == ""
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def failing(data: Path, *arguments: str, environment: dict[str, str] | None = None) -> str:
    """What a ``lutra serve`` that cannot start says."""
    result = run_lutra("serve", "--data", str(data), *arguments, environment=environment)
    assert result.status in (1, 2)
    assert result.stdout == ""
    return result.stderr


def table_names(endpoint: str, key: str, secret: str, instance: str = "default") -> tuple[str, ...]:
    names: tuple[str, ...] = ots.OTSClient(endpoint, key, secret, instance).list_table()
    return names


def test_first_start_and_the_next(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serving(data) as (endpoint, errors):
        shown = re.search(r"access key id +(\S+)\n +access key secret +(\S+)\n", errors.read_text())
        assert shown is not None
        key, secret = shown.groups()
        assert str(data / "credentials.json") in errors.read_text()
        assert stat.S_IMODE((data / "credentials.json").stat().st_mode) == 0o600
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", endpoint)
        assert table_names(endpoint, key, secret) == ()
    with serving(data) as (endpoint, errors):
        assert errors.read_text() == ""
        assert table_names(endpoint, key, secret) == ()


def test_key_from_the_environment_and_named_instances(tmp_path: Path) -> None:
    arguments = ("--instance", "photos", "--instance", "music")
    with serving(tmp_path / "data", *arguments, environment=KEY) as (endpoint, errors):
        for name in ("photos", "music"):
            assert table_names(endpoint, "me", "hush", name) == ()
        with pytest.raises(ots.OTSServiceError, match="The instance is not found"):
            table_names(endpoint, "me", "hush", "default")
        assert errors.read_text() == ""
        assert not (tmp_path / "data" / "credentials.json").exists()
        subprocess.run(
            [*LUTRA, "instance", "create", "later", "--data", str(tmp_path / "data")], check=True, capture_output=True
        )
        assert table_names(endpoint, "me", "hush", "later") == ()
        # One process has a data directory at a time.
        assert "data" in failing(tmp_path / "data", "--port", "0", environment=KEY)


def test_an_address_that_others_reach_is_warned_of(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--host", "0.0.0.0", environment=KEY) as (endpoint, errors):
        assert endpoint.startswith("http://0.0.0.0:")
        assert "plain HTTP" in errors.read_text()


def test_ipv6(tmp_path: Path) -> None:
    if not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    with serving(tmp_path / "data", "--host", "::1", environment=KEY) as (endpoint, errors):
        assert re.fullmatch(r"http://\[::1\]:\d+", endpoint)
        assert errors.read_text() == ""
        assert table_names(endpoint, "me", "hush") == ()


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert f"cannot listen on 127.0.0.1 port {port}" in failing(tmp_path / "data", "--port", port, environment=KEY)


@pytest.mark.parametrize(
    ("arguments", "environment", "complaint"),
    [
        (["--host", "no.such.host.invalid"], KEY, "cannot listen on no.such.host.invalid"),
        (["--port", "70000"], KEY, "70000"),
        (["--instance", "a b"], KEY, "invalid instance name 'a b'"),
        ([], {"LUTRA_ACCESS_KEY_ID": "me"}, "LUTRA_ACCESS_KEY_SECRET"),
        ([], {"LUTRA_ACCESS_KEY_ID": "m e", "LUTRA_ACCESS_KEY_SECRET": "hush"}, "access key id"),
    ],
)
def test_what_cannot_start(tmp_path: Path, arguments: list[str], environment: dict[str, str], complaint: str) -> None:
    assert complaint in failing(tmp_path / "data", "--port", "0", *arguments, environment=environment)


def test_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert "data" in failing(tmp_path / "data", environment=KEY)


def test_credentials_that_others_can_read(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    path = data / "credentials.json"
    path.write_text(json.dumps({"format_version": 1, "access_key_id": "me", "access_key_secret": "hush"}))
    path.chmod(0o644)
    complaint = failing(data, "--port", "0")
    assert f"chmod 600 {path}" in complaint
    assert "hush" not in complaint
