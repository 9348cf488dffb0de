"""Start one of the demo's peers as `make demo` does: as a process that says when it is ready."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextmanager
def running(module: str, *arguments: str) -> Iterator[str]:
    """The URL of the peer while it runs; it has to end cleanly at an interrupt."""
    command = [sys.executable, "-m", module, "--port", "0", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("READY http://127.0.0.1:"), line
            yield line.split()[1]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=10)
