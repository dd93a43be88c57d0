"""Turns into one program of the stack, which then cannot outlive its supervisor.

The supervisor starts this file by itself (`python -I -S lifeline.py run/programs`), under the program's name. It reads
run/programs/<name>.json (argv, environment, folder), asks the kernel to be killed when its parent dies, adds
its process id to <name>.pids, and becomes the program: same process id, nothing of Python left. Imports nothing of
ours, to be gone in 20 ms.
"""

import ctypes
import json
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def _die_with_parent(parent: int) -> None:
    """Be killed when the parent ends, however it ends. Linux only; elsewhere a killed supervisor leaves orphans."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel was asked
        os._exit(1)


def main() -> None:
    """Become the program that SUPERVISOR_PROCESS_NAME names."""
    name = os.environ["SUPERVISOR_PROCESS_NAME"]
    program = json.loads(Path(sys.argv[1], f"{name}.json").read_bytes())
    _die_with_parent(program["supervisor"])
    # From here on signals do what they do to the program: in the supervisor's own fork they were still swallowed.
    with Path(sys.argv[1], f"{name}.pids").open("a", encoding="ascii") as pids:
        pids.write(f"{os.getpid()}\n")
    os.chdir(program["folder"])
    argv = program["argv"]
    os.execvpe(argv[0], argv, program["env"])  # noqa: S606  # becoming the program is the point


if __name__ == "__main__":
    main()
