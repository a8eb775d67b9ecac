"""A real S3 server (s3proxy, over a local folder) in a process of its own on a free loopback port, for tests.

Its jars are fetched once by Maven, as ``s3proxy/pom.xml`` says, into ``build/s3proxy`` of the repository.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypedDict

from support.ports import free_port

ACCESS_KEY_ID: Final = "test-id"
SECRET_ACCESS_KEY: Final = "test-secret-of-a-throw-away-server"
BUCKET: Final = "lutra-tests"
REGION: Final = "us-east-1"
STARTS_WITHIN_S: Final = 30
STOPS_WITHIN_S: Final = 10
# Less than the time limit of a test: what came is kept, and the next try goes on from there.
FETCHED_WITHIN_S: Final = 100

_HERE: Final = Path(__file__).parent / "s3proxy"
_JARS: Final = Path(__file__).parents[2] / "build" / "s3proxy"


class S3Options(TypedDict):
    """What `lutra.objects.s3.S3Store` needs to be told of this server."""

    endpoint: str
    region: str
    access_key_id: str
    secret_access_key: str


class S3ServerUnavailable(Exception):
    """This machine cannot run the server; says why."""


class S3Server:
    """The server, started when entered and stopped when left; ``BUCKET`` is there, and empty.

    Raises S3ServerUnavailable where Java or the jars are not to be had.
    """

    def __init__(self, folder: Path) -> None:
        """
        :param folder: for what it stores and prints; made where it is absent.
        """
        self.folder = folder
        self.endpoint = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def options(self) -> S3Options:
        """How to reach it."""
        return S3Options(
            endpoint=self.endpoint,
            region=REGION,
            access_key_id=ACCESS_KEY_ID,
            secret_access_key=SECRET_ACCESS_KEY,
        )

    @property
    def environment(self) -> dict[str, str]:
        """The same as the variables that every S3 client reads."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        }

    def url(self, prefix: str) -> str:
        """A place in its bucket."""
        return f"s3://{BUCKET}/{prefix}"

    def __enter__(self) -> S3Server:
        jars = _fetched_jars()
        (self.folder / "data" / BUCKET).mkdir(parents=True, exist_ok=True)
        for _ in range(3):
            if self._started(jars, free_port()):
                return self
        raise RuntimeError(f"the S3 server did not start; it printed:\n{self._log.read_text()}")

    def __exit__(self, *_: object) -> None:
        self._stop()

    @property
    def _log(self) -> Path:
        return self.folder / "s3proxy.log"

    def _started(self, jars: Path, port: int) -> bool:
        """False where the process ended by itself: another may have taken the port meanwhile."""
        self.endpoint = f"http://127.0.0.1:{port}"
        settings = self.folder / "s3proxy.conf"
        settings.write_text(
            f"s3proxy.endpoint={self.endpoint}\n"
            "s3proxy.authorization=aws-v2-or-v4\n"
            f"s3proxy.identity={ACCESS_KEY_ID}\n"
            f"s3proxy.credential={SECRET_ACCESS_KEY}\n"
            "jclouds.provider=filesystem-nio2\n"
            f"jclouds.filesystem.basedir={self.folder / 'data'}\n"
        )
        # Starts in two seconds instead of three; small, as other tests share the machine.
        options = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m"]
        classes = f"{_HERE}:{jars}/*"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["java", *options, "-cp", classes, "org.gaul.s3proxy.Main", "--properties", str(settings)],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                if "UnsupportedClassVersionError" in self._log.read_text():
                    raise S3ServerUnavailable("s3proxy needs Java 17 or later")
                return False
            with contextlib.suppress(OSError, http.client.HTTPException):
                with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=1)) as connection:
                    connection.request("GET", "/")
                    connection.getresponse().read()
                return True
            time.sleep(0.05)
        self._stop()
        return False

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def _fetched_jars() -> Path:
    if shutil.which("java") is None:
        raise S3ServerUnavailable("there is no java on this machine")
    digest = hashlib.sha256((_HERE / "pom.xml").read_bytes()).hexdigest()[:16]
    jars = _JARS / digest
    _JARS.mkdir(parents=True, exist_ok=True)
    with _locked(_JARS / "lock"):
        if not jars.is_dir():
            _fetch(jars)
    return jars


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Of several test runs in one checkout, one fetches."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _fetch(jars: Path) -> None:
    if shutil.which("mvn") is None:
        raise S3ServerUnavailable("there is no mvn on this machine to fetch s3proxy with")
    with tempfile.TemporaryDirectory(dir=_JARS) as folder:
        unfinished = Path(folder) / "jars"
        command = ["mvn", "-q", "-B", "-f", str(_HERE / "pom.xml"), "dependency:copy-dependencies"]
        try:
            subprocess.run(
                [*command, f"-DoutputDirectory={unfinished}", "-DincludeScope=runtime"],
                check=True,
                capture_output=True,
                text=True,
                timeout=FETCHED_WITHIN_S,
            )
        except subprocess.TimeoutExpired as error:
            raise S3ServerUnavailable(f"mvn did not fetch s3proxy within {FETCHED_WITHIN_S} s") from error
        except subprocess.CalledProcessError as error:
            lines = [line for line in error.stdout.splitlines() if line.startswith("[ERROR]")] or ["it said nothing"]
            raise S3ServerUnavailable(f"mvn could not fetch s3proxy: {lines[0]}") from error
        unfinished.rename(jars)
