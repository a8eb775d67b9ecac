"""From what the user says of builders to one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from lutra.index.builds.builder import ProcessBuilder
from lutra.index.builds.opening import open_builder
from lutra.index.builds.remote.builder import RemoteBuilder
from lutra.index.builds.remote.ray_settings import RaySettings, address_in, arguments, environment
from lutra.instance.engine import Engine
from lutra.model.errors import ParameterInvalid

MEMORY_BYTES = 1 << 30
WITHOUT_RAY = """
import sys
sys.modules["ray"] = None
from importlib import util
found = util.find_spec
util.find_spec = lambda name, *more: None if name == "ray" else found(name, *more)
from lutra.index.builds.opening import open_builder
from lutra.model.errors import ParameterInvalid
open_builder("local", 1 << 30).close()
try:
    open_builder("ray", 1 << 30)
except ParameterInvalid as error:
    print(error)
"""


@pytest.mark.parametrize(
    "spec", ["", "dask", "ray:", "ray:0", "local:0", "local:-1", "ray:2000", "ray:two", "local,ray"]
)
def test_nonsense(spec: str) -> None:
    with pytest.raises(ParameterInvalid, match="builders are local, ray"):
        open_builder(spec, MEMORY_BYTES)


def test_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for spec, kind in (
        ("local", ProcessBuilder),
        ("local:3", ProcessBuilder),
        ("ray", RemoteBuilder),
        ("ray:2", RemoteBuilder),
    ):
        builder = open_builder(spec, MEMORY_BYTES)
        assert isinstance(builder, kind)
        builder.close()


def test_a_ray_that_runs_says_itself_how_many_builds_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    open_builder("ray", MEMORY_BYTES).close()
    with pytest.raises(ParameterInvalid, match=r"10\.0\.0\.1:6379"):
        open_builder("ray:2", MEMORY_BYTES)
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    with pytest.raises(ParameterInvalid, match="ray start"):
        open_builder("ray", MEMORY_BYTES)


def test_an_engine_says_so_before_it_makes_anything(tmp_path: Path) -> None:
    with pytest.raises(ParameterInvalid, match="dask"):
        Engine.open(tmp_path / "data", builders="dask")
    assert not (tmp_path / "data" / "objects").exists()


def test_who_has_no_ray_is_told_what_to_install() -> None:
    ended = subprocess.run([sys.executable, "-c", WITHOUT_RAY], stdout=subprocess.PIPE, text=True, check=True)
    assert ended.stdout.strip() == "builders on Ray need Ray itself: pip install 'lutra[cluster]'"


def test_a_ray_of_our_own_is_for_this_machine_and_tells_nobody() -> None:
    own = RaySettings(None, 2, MEMORY_BYTES)
    there = {"RAY_AUTH_TOKEN": "theirs", "RAY_AUTH_TOKEN_PATH": "/x", "RAY_ADDRESS": "h:1", "HOME": "/h"}
    made = environment(own, there)
    assert made["RAY_USAGE_STATS_ENABLED"] == "0"
    assert made["RAY_AUTH_MODE"] == "token"
    assert len(made["RAY_AUTH_TOKEN"]) == 64
    assert made["RAY_AUTH_TOKEN"] != environment(own, there)["RAY_AUTH_TOKEN"]
    assert "RAY_AUTH_TOKEN_PATH" not in made
    assert "RAY_ADDRESS" not in made
    assert made["HOME"] == "/h"
    asked = arguments(own, "/f")
    assert asked["include_dashboard"] is False
    assert asked["resources"] == {"lutra_builder": 2, "lutra_quick_builder": 1, "lutra_node": 0}


def test_a_ray_that_runs_is_asked_as_the_user_says() -> None:
    other = RaySettings("h:1", 1, MEMORY_BYTES)
    there: Mapping[str, str] = {"RAY_AUTH_TOKEN_PATH": "/x", "RAY_USAGE_STATS_ENABLED": "1"}
    made = environment(other, there)
    assert made["RAY_AUTH_TOKEN_PATH"] == "/x"
    assert "RAY_AUTH_TOKEN" not in made
    assert made["RAY_USAGE_STATS_ENABLED"] == "1"
    assert arguments(other, "/f")["address"] == "h:1"
    assert address_in({}) is None
    assert address_in({"RAY_ADDRESS": "auto"}) == "auto"
