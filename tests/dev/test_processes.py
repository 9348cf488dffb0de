"""Children do not outlive us."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dev import processes, settings
from dev.output import Failed

PATIENCE_S = 20
# A child with a child of its own, both deaf to a polite request; it says so, and who its child is.
STUBBORN = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
print("READY", child.pid, flush=True)
signal.pause()
"""


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or only waits for its parent to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_for_end(pid: int) -> None:
    """Wait for a process that is not ours."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    assert poll.poll(PATIENCE_S * 1000), f"Process {pid} goes on."
    os.close(descriptor)


def test_stopping_a_child_ends_what_it_has_started_however_deaf_it_is(tmp_path):
    child = processes.start("stubborn", [sys.executable, "-c", STUBBORN], log=tmp_path / "log")
    grandchild = int(child.wait_for_line("READY ", PATIENCE_S))
    child.stop(patience=0.1)
    assert not child.running
    wait_for_end(grandchild)


def test_a_child_ends_when_its_parent_is_killed(tmp_path):
    parent = """
import sys, time
from pathlib import Path
from dev import processes
child = processes.start("child", ["sleep", "600"], log=Path(sys.argv[1]))
print(child.process.pid, flush=True)
time.sleep(600)
"""
    command = [sys.executable, "-c", parent, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=settings.ROOT) as process:
        child = int(process.stdout.readline())
        assert not has_ended(child)
        process.kill()
    wait_for_end(child)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_wish_to_end_is_heard_once_and_passed_on(number, tmp_path):
    parent = """
import sys
from dev import processes
processes.listen_for_stop()
print("listening", flush=True)
try:
    processes.run([sys.executable, "-c", "import signal; print('child', flush=True); signal.pause()"])
except processes.Stopped as stopped:
    sys.exit(stopped.exit_code)
"""
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=settings.ROOT, text=True
    ) as process:
        assert [process.stdout.readline() for _ in range(2)] == ["listening\n", "child\n"]
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 128 + number


def test_nohup_keeps_a_closed_terminal_from_ending_us():
    parent = """
import signal
from dev import processes
signal.signal(signal.SIGHUP, signal.SIG_IGN)
processes.listen_for_stop()
signal.raise_signal(signal.SIGHUP)
print("still here")
"""
    done = subprocess.run(
        [sys.executable, "-c", parent], cwd=settings.ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "still here\n"


def test_a_child_that_ends_before_it_is_ready_is_reported_with_its_last_words(tmp_path):
    child = processes.start("peer", [sys.executable, "-c", "raise SystemExit('no luck')"], log=tmp_path / "log")
    with pytest.raises(Failed, match="peer ended with exit code 1"):
        child.wait_for_line("READY ", PATIENCE_S)
    assert "no luck" in str(child.failure())


def test_a_command_that_does_not_exist_is_a_line_not_a_traceback(tmp_path):
    assert processes.run(["/nowhere/command"], log=tmp_path / "log") == 1
    assert (tmp_path / "log").read_text() == "/nowhere/command: No such file or directory\n"
