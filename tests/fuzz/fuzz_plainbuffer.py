"""Coverage-guided fuzzing of what decodes PlainBuffer.

    python tests/fuzz/fuzz_plainbuffer.py [libFuzzer options] CORPUS      fuzz; a directory for inputs worth keeping
    python tests/fuzz/fuzz_plainbuffer.py --replay CORPUS                 decode them all many times: no memory is kept

Every input goes through the extension's four decoders. The guidance comes from a second build of the codec, without
Python, that counts the edges an input takes (plainbuffer_coverage.cpp); g++ builds it into build/fuzz.
"""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from tablestore.plainbuffer.plain_buffer_coded_stream import PlainBufferCodedInputStream
from tablestore.plainbuffer.plain_buffer_stream import PlainBufferInputStream

from lutra.kernels import plainbuffer
from lutra.model.errors import Corruption, ParameterInvalid
from lutra.model.values import AUTO_INCREMENT, INF_MAX, INF_MIN, KeyMarker

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
REPLAY_ROUNDS = 300
REPLAY_GROWTH_BYTES_MAX = 1 << 20


def seeds() -> list[bytes]:
    """Inputs to begin with: every tag and every type of value."""
    key = (("a", 1), ("b", "x"), ("c", b"y"), ("d", INF_MIN))
    bounds = (("a", INF_MAX), ("b", AUTO_INCREMENT))
    values: list[Any] = [0, 1.5, True, "é", b"\xff", None]
    changes: list[Any] = [("v", value, time, op) for value in values for time in (None, 5) for op in (0, 1, 3, 4)]
    return [
        plainbuffer.encode_change(key, changes, False),
        plainbuffer.encode_change(bounds, [], True),
        plainbuffer.encode_change(bounds, [], False) + bytes(2),  # as Node pads it
        plainbuffer.encode_rows([((("a", 1),), [("v", 1, 5)]), ((("a", 2),), [])]),
        plainbuffer.encode_cells([("v", 1, 5), ("v", "x", 4)]),
        *(plainbuffer.encode_variant(value) for value in (*values[:-1], INF_MIN)),
    ]


def comparable(decoded: Any) -> str:
    """NaN equals itself."""
    return repr(decoded)


def check_row(data: bytes) -> None:
    try:
        key, cells, is_delete = plainbuffer.decode_row(data)
    except ParameterInvalid:
        return
    again = plainbuffer.decode_row(plainbuffer.encode_change(key, cells, is_delete))
    assert comparable(again) == comparable((key, cells, is_delete))
    assert comparable(plainbuffer.decode_rows(data)) == comparable([(key, cells, is_delete)])
    markers = any(isinstance(value, KeyMarker) for _, value in key)
    if key and not markers and all(value is not None and op == 0 for _, value, _, op in cells):
        check_against_sdk(data, key, cells)


def check_against_sdk(data: bytes, key: Any, cells: Any) -> None:
    """The official SDK reads the row as we do."""
    sdk_key, sdk_cells = PlainBufferCodedInputStream(PlainBufferInputStream(data)).read_row()
    assert comparable([(name, plain(value)) for name, value in sdk_key]) == comparable(list(key))
    ours = [(name, value, timestamp) for name, value, timestamp, _ in cells]
    assert comparable([(name, plain(value), timestamp) for name, value, timestamp in sdk_cells]) == comparable(ours)


def plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, bytearray) else value


def check_rows(data: bytes) -> None:
    try:
        rows = plainbuffer.decode_rows(data)
    except ParameterInvalid:
        return
    assert len(rows) <= len(data)


def check_cells(data: bytes) -> None:
    try:
        cells = plainbuffer.decode_cells(data)
    except Corruption:
        return
    assert comparable(plainbuffer.decode_cells(plainbuffer.encode_cells(cells))) == comparable(cells)


def check_variant(data: bytes) -> None:
    try:
        value = plainbuffer.decode_variant(data)
    except ParameterInvalid:
        return
    if value is not None:
        assert plainbuffer.encode_variant(value) == data


def check(data: bytes) -> None:
    """Everything that must hold of any input."""
    check_row(data)
    check_rows(data)
    check_cells(data)
    check_variant(data)


def build_coverage() -> Path:
    """Builds the counted codec, unless it is newer than its sources."""
    folder = ROOT / "build" / "fuzz"
    library = folder / "plainbuffer_coverage.so"
    own, common = ROOT / "native" / "plainbuffer", ROOT / "native" / "common"
    codec, counter = own / "plainbuffer.cpp", HERE / "plainbuffer_coverage.cpp"
    sources = [codec, counter, own / "plainbuffer.h", common / "crc8.h"]
    if library.exists() and library.stat().st_mtime > max(source.stat().st_mtime for source in sources):
        return library
    folder.mkdir(parents=True, exist_ok=True)
    compiler = [os.environ.get("CXX", "g++"), "-std=c++20", "-O1", "-fPIC", f"-I{own}", f"-I{common}"]
    counted, counting = folder / "plainbuffer.o", folder / "counter.o"
    subprocess.run([*compiler, "-fsanitize-coverage=trace-pc", "-c", str(codec), "-o", str(counted)], check=True)
    subprocess.run([*compiler, "-c", str(counter), "-o", str(counting)], check=True)
    built = folder / f"{os.getpid()}.so"
    subprocess.run([*compiler, "-shared", "-Wl,-Bsymbolic", str(counted), str(counting), "-o", str(built)], check=True)
    built.replace(library)
    return library


def fuzz(arguments: list[str]) -> None:
    """Runs libFuzzer, which ends the process."""
    import atheris
    import atheris.core_with_libfuzzer

    counted = ctypes.CDLL(str(build_coverage()))
    libfuzzer = ctypes.CDLL(atheris.core_with_libfuzzer.__file__)
    counted.register_coverage(libfuzzer["__sanitizer_cov_8bit_counters_init"], libfuzzer["__sanitizer_cov_pcs_init"])
    for function in (counted.accepts_rows, counted.accepts_variant):
        function.argtypes = [ctypes.c_char_p, ctypes.c_size_t]

    def test_one_input(data: bytes) -> None:
        counted.accepts_rows(data, len(data))
        counted.accepts_variant(data, len(data))
        check(data)

    corpus = Path(arguments[-1])
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], *arguments], test_one_input)
    atheris.Fuzz()


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def replay(corpus: Path) -> None:
    """Exits with 1 where decoding the corpus again and again makes the process grow."""
    inputs = [path.read_bytes() for path in sorted(corpus.iterdir())]
    before = 0
    for round_number in range(REPLAY_ROUNDS):
        for data in inputs:
            check(data)
        if round_number == REPLAY_ROUNDS // 3:  # caches are warm
            before = resident_bytes()
    growth = resident_bytes() - before
    print(f"{len(inputs)} inputs, {REPLAY_ROUNDS} rounds: grew by {growth} bytes")
    if growth > REPLAY_GROWTH_BYTES_MAX:
        sys.exit(1)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--replay":
        replay(Path(sys.argv[2]))
    elif len(sys.argv) >= 2 and Path(sys.argv[-1]).is_dir():
        fuzz(sys.argv[1:])
    else:
        sys.exit(__doc__)
