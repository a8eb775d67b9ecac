"""What is told of a process, whatever its name is."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lutra.kernels.process_stat import NAME, PARENT, STARTED_TICKS, STATE, SYSTEM_TICKS, USER_TICKS, stat_fields

_NAMED = """
import sys
with open("/proc/self/comm", "w") as name:
    name.write("a) R (b 1 2")
print("named", flush=True)
sys.stdin.read()
"""


def test_of_this_process() -> None:
    fields = stat_fields(os.getpid())
    assert int(fields[0]) == os.getpid()
    assert int(fields[PARENT]) == os.getppid()
    times = os.times()
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    assert 0 <= round(times.user * ticks_per_s) - int(fields[USER_TICKS]) < ticks_per_s
    assert 0 <= round(times.system * ticks_per_s) - int(fields[SYSTEM_TICKS]) < ticks_per_s


def test_a_name_may_hold_anything() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _NAMED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "named\n"
        fields = stat_fields(child.pid)
        assert fields[NAME] == "a) R (b 1 2"
        assert fields[STATE] in "RSD"
        assert int(fields[PARENT]) == os.getpid()
        assert int(fields[STARTED_TICKS]) >= int(stat_fields(os.getpid())[STARTED_TICKS])
        assert child.stdin is not None
        child.stdin.close()
        child.wait()
        with pytest.raises(FileNotFoundError):
            stat_fields(child.pid)
