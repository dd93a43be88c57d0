"""The supervisor of the stack's programs, a process of its own: supervisord, with three things more.

It waits twice as long after each failed start (1, 2, 4 … 30 s), where supervisord waits one second more; it stops
everything in good order when its standard input ends, that is when the launcher dies, however it dies; and it keeps
the launcher's lock on the data folder until it has ended itself.
"""

import os
import signal
import sys
import threading
from typing import Any

from supervisor.options import ProcessConfig, ServerOptions
from supervisor.process import Subprocess
from supervisor.states import ProcessStates
from supervisor.supervisord import go

LONGEST_WAIT_S = 30


class _Program(Subprocess):
    def change_state(self, new_state: int, expected: bool = True) -> Any:  # noqa: FBT001, FBT002  # supervisord's own
        if new_state == ProcessStates.BACKOFF and self.backoff:
            # The library adds one to `backoff`, and waits that many seconds.
            self.backoff = min(2 * self.backoff, LONGEST_WAIT_S) - 1
        return super().change_state(new_state, expected)


class _ProgramConfig(ProcessConfig):
    def make_process(self, group: Any = None) -> Subprocess:
        program = _Program(self)
        program.group = group
        return program


class _Options(ServerOptions):
    def processes_from_section(self, parser: Any, section: str, group_name: str, klass: Any = None) -> Any:
        if klass is ProcessConfig:
            klass = _ProgramConfig
        return super().processes_from_section(parser, section, group_name, klass)


def _stop_with_launcher() -> None:
    """Wait for the end of standard input. A pipe, not a parent-death signal: that one fires when a *thread* ends."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main(settings: str, lock: int) -> None:
    """Run until told to stop. `settings` is a supervisord.conf, `lock` an open file that no program shall inherit."""
    os.set_inheritable(lock, False)  # noqa: FBT003  # its only form
    threading.Thread(target=_stop_with_launcher, daemon=True).start()
    options = _Options()
    options.realize(["--nodaemon", "--silent", "--configuration", settings])
    options.first = True
    options.test = False
    go(options)
    options.close_httpservers()
    options.close_logger()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
