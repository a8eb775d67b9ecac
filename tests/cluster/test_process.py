"""Processes that are told from all others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

from lutra.cluster.process import Process


def test_this_process_is_here_and_runs() -> None:
    this = Process.this()
    assert this.pid == os.getpid()
    assert this.is_here
    assert this.is_running
    assert not this.wait(0)


def test_a_process_of_that_number_that_was_started_at_another_time_is_another() -> None:
    this = Process.this()
    for other in (
        replace(this, started=this.started - 1),
        replace(this, boot="another"),
        replace(this, host="elsewhere"),
    ):
        assert not other.is_running
        assert not other.send(signal.SIGKILL), "it would have been this test"


def test_a_process_that_has_ended_is_sent_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = Process.of(child.pid)
    assert process.is_running
    assert process.send(signal.SIGTERM)
    assert process.wait(30)
    assert not process.send(signal.SIGTERM), "it has ended, though nobody has asked for its status"
    child.communicate()
    assert child.returncode == -signal.SIGTERM
    assert not Process.of(child.pid).is_running
