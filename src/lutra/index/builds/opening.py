"""From what the user says of builders to one."""

from __future__ import annotations

import re
from typing import Final

from lutra.index.builds.builder import Builder, ProcessBuilder
from lutra.model.errors import ParameterInvalid

LOCAL: Final = "local"
RAY: Final = "ray"
_SPEC: Final = re.compile(rf"({LOCAL}|{RAY})(?::(\d{{1,4}}))?")
COUNT_MAX: Final = 1_024


def open_builder(spec: str, build_memory_bytes: int, all_memory_bytes: int | None = None) -> Builder:
    """The builder that ``spec`` names: ``local`` or ``ray``, and ``:COUNT`` large builds at once, 1 where not said.

    ``local``: processes of this machine. ``ray``: tasks of the Ray at RAY_ADDRESS, whose nodes say how many builds they
    do at once; where that is not set, of a Ray that is started here with the first build. ``build_memory_bytes``: what
    one build may take; ``all_memory_bytes``: all those of this machine together, None: each as much. Raises
    ParameterInvalid, also where Ray is wanted and not installed; otherwise imports none of it.
    """
    found = _SPEC.fullmatch(spec)
    count = int(found[2] or 1) if found else 0
    if found is None or not 1 <= count <= COUNT_MAX:
        raise ParameterInvalid(
            f"builders are {LOCAL}, {RAY}, or either with a number of builds at once, {LOCAL}:2 say, up to "
            f"{COUNT_MAX:,}, not {spec!r}"
        )
    if found[1] == LOCAL:
        return ProcessBuilder(count, memory_bytes=all_memory_bytes)
    from lutra.index.builds.remote.builder import RemoteBuilder
    from lutra.index.builds.remote.ray_carrier import RayCarrier
    from lutra.index.builds.remote.ray_settings import RaySettings, address_in, require_ray

    require_ray()
    address = address_in()
    if address is not None and found[2] is not None:
        raise ParameterInvalid(f"the nodes of the Ray at {address} say how many builds they do at once: only {RAY}")
    settings = RaySettings(address, count, build_memory_bytes)
    return RemoteBuilder(lambda tell: RayCarrier(settings, tell))
