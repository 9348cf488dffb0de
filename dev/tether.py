"""Runs a command that ends when the process which started it does: `tether.py <parent> <signal> <uid>:<gid> <command>`.

It replaces itself by the command, so it costs no process. The kernel sends the signal, hence it also comes when the
parent was killed with SIGKILL. Where the kernel cannot (not Linux), the command runs untethered.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main() -> None:
    parent, signal_number, account, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    if account != ":":
        become(*map(int, account.split(":")))
    tie_to(parent, signal_number)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


def become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def tie_to(parent: int, signal_number: int) -> None:
    """Get the signal when the parent ends. To be asked for last: a change of the account takes it back."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("the parent ended before its child began")


if __name__ == "__main__":
    main()
