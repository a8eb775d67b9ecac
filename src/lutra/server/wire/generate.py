"""Generates the ``*_pb2.py`` and ``*_pb2.pyi`` beside the ``.proto`` files: ``python -m lutra.server.wire.generate``.

Needs grpcio-tools (a development dependency). Its release fixes the oldest protobuf runtime the result loads on.
"""

from __future__ import annotations

import sys
from pathlib import Path

WIRE = Path(__file__).parent
SOURCE_ROOT = WIRE.parents[2]


def generate(destination: Path) -> list[Path]:
    """Writes the modules below ``destination`` (which stands for ``src/``) and returns their paths.

    Raises RuntimeError where protoc refuses a file, ImportError where grpcio-tools is not installed.
    """
    import grpc_tools
    from grpc_tools import protoc

    protos = sorted(WIRE.glob("*.proto"))
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    arguments = [
        "protoc",
        f"--proto_path={SOURCE_ROOT}",
        f"--proto_path={well_known}",
        f"--python_out={destination}",
        f"--pyi_out={destination}",
        *(str(proto) for proto in protos),
    ]
    if protoc.main(arguments) != 0:
        raise RuntimeError("protoc failed; its messages are above")
    folder = destination / WIRE.relative_to(SOURCE_ROOT)
    return [folder / f"{proto.stem}_pb2{suffix}" for proto in protos for suffix in (".py", ".pyi")]


if __name__ == "__main__":
    for path in generate(SOURCE_ROOT):
        sys.stdout.write(f"{path.relative_to(SOURCE_ROOT.parent)}\n")
