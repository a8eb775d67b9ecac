"""How Ray is started and asked: without telling anybody, and not to be reached from elsewhere."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any, Final

from lutra.index.builds.builder import QUICK_BYTES
from lutra.index.builds.remote.ray_names import BUILDER, NODE, QUICK_BUILDER
from lutra.model.errors import ParameterInvalid

ADDRESS: Final = "RAY_ADDRESS"
_LOOPBACK: Final = ("127.0.0.1:", "localhost:")
_OBJECT_STORE_BYTES: Final = 80 * 1024 * 1024
"""The least that Ray takes. Segments go by the store of objects, and nothing by this one."""


@dataclass(frozen=True, slots=True)
class RaySettings:
    """``address``: of a Ray that runs; None: one is started on this machine, with ``builders`` large builds at once,
    each of which may take ``build_memory_bytes``."""

    address: str | None
    builders: int
    build_memory_bytes: int
    nodes: int = 0
    """How many nodes of a cluster that Ray is to take (`lutra.cluster.ray_nodes`)."""

    @property
    def name(self) -> str:
        """For messages."""
        return "Ray on this machine" if self.address is None else f"Ray at {self.address}"


def require_ray() -> None:
    """Raises ParameterInvalid where it is not installed. Imports nothing."""
    if find_spec("ray") is None:
        raise ParameterInvalid("builders on Ray need Ray itself: pip install 'lutra[cluster]'")


def environment(settings: RaySettings, inherited: Mapping[str, str]) -> dict[str, str]:
    """Of a process that is to ask Ray. What the user has set of Ray's own variables counts, but for a Ray that is
    started here: only who has its token, which is drawn for each anew, can ask that one."""
    result = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DEDUP_LOGS": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        **inherited,
    }
    result.pop(ADDRESS, None)  # it is handed over where it counts
    if settings.address is None:
        result.pop("RAY_AUTH_TOKEN_PATH", None)
        result |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    if settings.address is None or settings.address.startswith(_LOOPBACK):
        # With this, Ray listens on loopback only, whatever it is called; nothing else makes it.
        result["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    return result


def arguments(settings: RaySettings, folder: str) -> dict[str, Any]:
    """Of ``ray.init``. ``folder``: for sockets and logs of a Ray that is started; its path is short."""
    quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    if settings.address is not None:
        return {"address": settings.address, **quiet}
    return {
        "address": "local",
        "num_cpus": settings.builders + 1,
        "num_gpus": 0,
        "resources": {BUILDER: settings.builders, QUICK_BUILDER: 1, NODE: settings.nodes},
        "_memory": settings.builders * settings.build_memory_bytes + QUICK_BYTES,
        "object_store_memory": _OBJECT_STORE_BYTES,
        "include_dashboard": False,
        "_temp_dir": folder,
        **quiet,
    }


def settings_line(settings: RaySettings) -> str:
    """The first line that a process reads that is to use Ray so."""
    return json.dumps({"settings": asdict(settings)})


def settings_of(line: str) -> RaySettings:
    """Of a `settings_line`."""
    return RaySettings(**json.loads(line)["settings"])


def address_in(environ: Mapping[str, str] = os.environ) -> str | None:
    """Of the Ray that the user names; None where none is named. Raises ParameterInvalid."""
    address = environ.get(ADDRESS) or None
    if address is not None and "://" in address:
        raise ParameterInvalid(
            f"{ADDRESS} is {address!r}, but builders need HOST:PORT of Ray's head, or auto, and a machine that is part "
            "of it: ray start --address HOST:PORT"
        )
    return address
