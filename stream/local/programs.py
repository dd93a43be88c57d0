"""What a supervised program is, what the supervisor and lifeline.py are told of it, and what the supervisor answers."""

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from stream.local.errors import StackError

STEADY_S = 10  # a program that ends earlier has failed to start: the next start waits
_FIRST_ORDER, _LAST_ORDER = 1, 999

_PROGRAM_SETTINGS = """\
[program:{name}]
command = {command}
priority = {order}
autostart = false
autorestart = true
startsecs = {steady_s}
startretries = 1000000000
stopsignal = TERM
stopwaitsecs = {stop_wait_s}
killasgroup = true
redirect_stderr = true
stdout_logfile = logs/{name}.log
stdout_logfile_maxbytes = 50MB
stdout_logfile_backups = 1
umask = 077
"""


@dataclass(frozen=True, slots=True)
class Program:
    """What the supervisor runs. Programs of a lower `order` start earlier and stop later.

    `env` is added to the launcher's environment. `ready` is asked until it says yes; without it, running is ready.
    """

    name: str
    argv: Sequence[str]
    folder: Path
    order: int = 500
    env: Mapping[str, str] = field(default_factory=dict)
    stop_wait_s: int = 15
    ready: Callable[[], bool] | None = None

    def __post_init__(self) -> None:
        if not self.name.replace("-", "").replace("_", "").isalnum() or not self.name.isascii():
            raise StackError(f"A program cannot be called {self.name!r}: use letters, digits, '-' and '_'.")
        if not _FIRST_ORDER <= self.order <= _LAST_ORDER:
            raise StackError(f"Program {self.name} has order {self.order}; it must be {_FIRST_ORDER} to {_LAST_ORDER}.")


@dataclass(frozen=True, slots=True)
class ChildState:
    """One program now: supervisord's word for its state (RUNNING, BACKOFF, STOPPED …) and its process id or None."""

    name: str
    word: str
    pid: int | None
    note: str

    @property
    def is_alive(self) -> bool:
        """Is there a process? It may be paused."""
        return self.pid is not None

    @property
    def has_failed(self) -> bool:
        """Has it ended by itself? It may be waiting for its next start."""
        return self.word in {"BACKOFF", "FATAL", "EXITED", "UNKNOWN"}


def child_state(info: Mapping[str, Any]) -> ChildState:
    """Read what the supervisor says of a program."""
    return ChildState(info["name"], info["statename"], info["pid"] or None, info["spawnerr"] or info["description"])


def supervisor_settings(program: Program, programs: Path) -> str:
    """What the supervisor is told: to run lifeline.py, which finds the rest in the folder `programs`."""
    lifeline = Path(__file__).with_name("lifeline.py")
    return _PROGRAM_SETTINGS.format(
        name=program.name,
        command=shlex.join([sys.executable, "-I", "-S", str(lifeline), str(programs)]).replace("%", "%%"),
        order=program.order,
        steady_s=STEADY_S,
        stop_wait_s=program.stop_wait_s,
    )


def lifeline_settings(program: Program, supervisor_pid: int) -> bytes:
    """What lifeline.py is told: the words and the environment as they are, with nothing to quote."""
    told = {
        "argv": list(program.argv),
        "env": {**os.environ, **program.env},
        "folder": str(program.folder),
        "supervisor": supervisor_pid,
    }
    return msgspec.json.encode(told)
