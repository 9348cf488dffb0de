"""Runs a command that ends when the process which started it does: `python tether.py <parent pid> <signal> <command…>`.

It replaces itself by the command, so it costs no process. The kernel sends the signal, hence it also comes when the
parent was killed with SIGKILL. Where the kernel cannot (not Linux), the command runs untethered.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main() -> None:
    parent, signal_number, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("the parent ended before its child began")
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
