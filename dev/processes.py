"""Child processes that never outlive us: not a clean end, not Ctrl-C, not a closed terminal, not `kill -9`.

A child runs in a session of its own, so that Ctrl-C reaches it once, through `Child.stop`, and so that whatever it
started can be ended with it. `tether.py` covers the case in which we get no chance to stop it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO

from .output import Failed, tail
from .tether import tie_to

TETHER = Path(__file__).with_name("tether.py")
STOP_PATIENCE_S = 15.0  # Odoo lets running requests end first
POLL_S = 0.05
END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """Somebody wants us to end. Not an error: cleanup runs, nothing is reported."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number


class Child:
    """A running child process. It is tethered to the thread that started it: start it from the main thread."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.process = process
        self.log = log

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def failure(self) -> Failed:
        """What to tell a person when the child has ended although it should run."""
        code = self.process.poll()
        return Failed(f"{self.name} ended with exit code {code}; its log, {self.log}, ends so:\n{tail(self.log)}")

    def wait_for_line(self, start: str, timeout: float) -> str:
        """Wait until the log has a line that begins with `start`; return the rest of that line.

        Raises:
            Failed: the child ended first, or said nothing of the kind in time.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            alive = self.running  # asked before reading, so that last words are heard
            for line in self.log.read_text(errors="replace").splitlines(keepends=True):
                if line.startswith(start) and line.endswith("\n"):
                    return line[len(start) :].strip()
            if not alive:
                raise self.failure()
            time.sleep(POLL_S)
        raise Failed(f"{self.name} did not start within {timeout:.0f} s; see {self.log}")

    def stop(self, patience: float = STOP_PATIENCE_S) -> None:
        """End the child and everything in its session: first politely, then not. Safe to call twice."""
        if self.running:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
        self.kill()

    def kill(self) -> None:
        """End the child and everything in its session at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the session may be empty by now
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def start(
    name: str,
    command: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    death_signal: int = signal.SIGTERM,
) -> Child:
    """Start `command` in the background, its output in `log` (the previous one is kept as `<log>.old`)."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_name(log.name + ".old"))
    with log.open("wb") as output:
        process = subprocess.Popen(
            tethered(command, death_signal),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
    return Child(name, process, log)


def run(
    command: Sequence[str],
    *,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    account: pwd.struct_passwd | None = None,
) -> int:
    """Run `command` to its end and return its exit code; its output is added to `log`, else goes to the terminal.

    A command with the terminal shares our process group: Ctrl-C reaches it directly, as in a shell.
    """
    with contextlib.ExitStack() as stack:
        output: IO[bytes] | None = None
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            output = stack.enter_context(log.open("ab"))
        process = subprocess.Popen(
            tethered(command, account=account),
            stdin=subprocess.DEVNULL if output else None,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            env=env,
            cwd=cwd,
        )
        try:
            return process.wait()
        except Stopped as stopped:
            _end(process, stopped)
            raise


def tethered(
    command: Sequence[str], death_signal: int = signal.SIGTERM, account: pwd.struct_passwd | None = None
) -> list[str]:
    """`command`, as a command that ends with the calling process, and that runs as `account` where one is given."""
    ids = f"{account.pw_uid}:{account.pw_gid}" if account else ":"
    return [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), str(int(death_signal)), ids, *command]


def listen_for_stop() -> None:
    """From here on, a wish to end (Ctrl-C, SIGTERM, a closed terminal) raises `Stopped` in the main thread, once."""

    def stop(signal_number: int, _frame: FrameType | None) -> None:
        for number in END_SIGNALS:  # the first one decides; cleaning up is bounded and not to be interrupted
            signal.signal(number, signal.SIG_IGN)
        raise Stopped(signal_number)

    for number in END_SIGNALS:
        if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
            continue  # started with nohup: a closed terminal is no reason to end
        signal.signal(number, stop)


def wait_for_stop() -> int:
    """Do nothing until somebody wants us to end; 0, because then all is well."""
    try:
        while True:
            time.sleep(3600)
    except Stopped:
        return 0


def end_with_parent() -> None:
    """From now on, get SIGTERM when the process that started us (`make`, usually) ends, however it does."""
    tie_to(os.getppid(), signal.SIGTERM)


def _end(process: subprocess.Popen[bytes], stopped: Stopped) -> None:
    """End a command of the foreground in the way in which we were asked to end."""
    if not (stopped.signal_number == signal.SIGINT and sys.stdin.isatty()):  # a terminal has told the command, too
        process.send_signal(stopped.signal_number)
    for next_signal in (signal.SIGTERM, signal.SIGKILL):
        try:
            process.wait(STOP_PATIENCE_S)
            return
        except subprocess.TimeoutExpired:
            process.send_signal(next_signal)
    process.wait()
