"""The supervised programs of a stack: start, stop, kill, pause, resume, ask after them.

`Children` starts one supervisor (supervise.py) in a session of its own, so that Ctrl-C in the terminal reaches only
the launcher, and speaks to it over a socket in the data folder. Every program has its log in logs/<name>.log and is
restarted when it ends, with back-off. When the launcher dies, the supervisor stops the programs in good order; when
the supervisor is killed, the kernel kills them (lifeline.py).
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Iterable
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from supervisor.xmlrpc import Faults, SupervisorTransport

from stream.local.errors import ChildFailedError, StackError
from stream.local.folder import DataFolder
from stream.local.programs import ChildState, Program, child_state, lifeline_settings, supervisor_settings

_BEGIN_TIMEOUT_S = 20.0
_POLL_S = 0.03
_TAIL_LINES = 10
_CAUSE_LINES = 5
_CAUSE = re.compile(r"\b(ERROR|FATAL|CRITICAL)\b|^Caused by|^\w+(\.\w+)*(Exception|Error)\b")

_SUPERVISOR_SETTINGS = """\
[supervisord]
logfile = logs/supervisor.log
logfile_maxbytes = 10MB
logfile_backups = 1
pidfile = run/supervisor.pid
childlogdir = logs
nocleanup = true
umask = 077

[unix_http_server]
file = {here}/run/control.sock
chmod = 0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[include]
files = programs/*.conf
"""


class Children:
    """The programs of one data folder. Open it with `start()`; `stop()` ends them all, the last started first."""

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._programs: dict[str, Program] = {}
        self._paused: set[str] = set()
        self._log_starts: dict[str, int] = {}
        self._expected_starts: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._run_folder: int | None = None
        self._server: Any = None
        self._one_at_a_time = threading.RLock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def supervisor_pid(self) -> int:
        """Process id of the supervisor."""
        return self._running().pid

    @property
    def supervisor_exit_code(self) -> int | None:
        """None while the supervisor runs."""
        return self._running().poll()

    def start(self, timeout_s: float = 20.0) -> None:
        """Start the supervisor, with no programs yet. Raises StackError."""
        run = self._folder.run
        programs = run / "programs"
        programs.mkdir(mode=0o700, exist_ok=True)
        for left in (*programs.iterdir(), run / "control.sock"):
            left.unlink(missing_ok=True)
        settings = run / "supervisord.conf"
        # supervisord makes the path of its socket absolute; that may have 107 bytes, and a data folder's more.
        here = "/proc/self/cwd" if Path("/proc/self/cwd").exists() else "."
        settings.write_text(_SUPERVISOR_SETTINGS.format(here=here), encoding="utf-8")
        lock = self._folder.lock_descriptor
        with (self._folder.logs / "supervisor.out").open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "stream.local.supervise", "run/supervisord.conf", str(lock)],
                cwd=self._folder.path,  # the paths in its settings are relative: none needs quoting
                env={**os.environ, "PYTHONPATH": os.pathsep.join(_import_path())},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),
                start_new_session=True,
                umask=0o077,
            )
        self._connect(time.monotonic() + timeout_s)

    def _connect(self, deadline: float) -> None:
        # Short for the same reason: the way goes by the open folder.
        self._run_folder = os.open(self._folder.run, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        by_folder = Path(f"/proc/self/fd/{self._run_folder}")
        socket_path = (by_folder if by_folder.exists() else self._folder.run) / "control.sock"
        transport = SupervisorTransport(None, None, f"unix://{socket_path}")
        self._server = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
        while True:
            with contextlib.suppress(OSError, HTTPException):
                self._server.supervisor.getState()
                return
            transport.close()
            if self._running().poll() is not None or time.monotonic() > deadline:
                said = (self._folder.logs / "supervisor.out").read_text(encoding="utf-8", errors="replace")
                self.stop()
                raise StackError(
                    f"The supervisor of the stack did not start: {said.strip()[-1000:] or 'no word from it'} "
                    f"(logs in {self._folder.logs}).",
                )
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Stop all programs, those of the highest order first and at once, then the supervisor."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            if self._server is not None and process.poll() is None:
                for order in sorted({program.order for program in self._programs.values()}, reverse=True):
                    self._stop_together([p.name for p in self._programs.values() if p.order == order])
                self._call("shutdown")
        finally:
            # Whatever went wrong above: without its launcher the supervisor stops the rest, in order, and ends.
            assert process.stdin is not None, "it was started with a pipe"  # noqa: S101
            process.stdin.close()
            patience_s = 5.0 + sum(program.stop_wait_s for program in self._programs.values())
            try:
                process.wait(patience_s)
            except subprocess.TimeoutExpired:
                process.kill()  # and the kernel kills its children
                process.wait()
            if self._server is not None:
                self._server("close")()
                self._server = None
            if self._run_folder is not None:
                os.close(self._run_folder)
                self._run_folder = None
            self._programs.clear()
            self._paused.clear()

    def add(self, program: Program) -> None:
        """Make a program known to the supervisor and start it. Its name must be new."""
        if program.name in self._programs:
            raise StackError(f"The stack has a program {program.name} already; restart it, or choose a new name.")
        programs = self._folder.run / "programs"
        (programs / f"{program.name}.json").write_bytes(lifeline_settings(program, self.supervisor_pid))
        settings = supervisor_settings(program, programs)
        (programs / f"{program.name}.conf").write_text(settings, encoding="utf-8")
        self._call("reloadConfig")
        self._call("addProcessGroup", program.name)
        self._programs[program.name] = program
        self.start_again(program.name)

    def remove(self, name: str) -> None:
        """Stop a program and forget it; its log stays."""
        self.stop_one(name)
        self._call("removeProcessGroup", name)
        for suffix in ("conf", "json", "pids"):
            (self._folder.run / "programs" / f"{name}.{suffix}").unlink(missing_ok=True)
        del self._programs[name]

    def start_again(self, name: str) -> None:
        """Start a program that was stopped, and wait until it is there to hear signals; one that runs just goes on."""
        log = self.log_path(self._known(name).name)
        self._log_starts[name] = log.stat().st_size if log.exists() else 0
        self._expected_starts[name] = len(self._starts(name)) + (not self.state(name).is_alive)
        self._call("startProcess", name, False, unless=Faults.ALREADY_STARTED)  # noqa: FBT003  # wait=False
        self._wait_for(lambda: self._has_begun(name), _BEGIN_TIMEOUT_S, f"{name} did not begin")

    def stop_one(self, name: str) -> None:
        """Stop a program in good order (SIGTERM, then SIGKILL after its patience); it stays down."""
        self._stop_together([self._known(name).name])

    def kill(self, name: str, number: int = signal.SIGKILL, *, stay_down: bool = False) -> None:
        """Send a signal. A program that dies of it is started again, unless `stay_down` (SIGKILL only).

        After SIGKILL the process is gone when this returns; its successor may not be there yet (`wait_ready`).
        """
        self._known(name)
        if not stay_down:
            was = self.state(name).pid
            self._expected_starts[name] += 1
            self._call("signalProcess", name, str(int(number)))
            if number == signal.SIGKILL:
                self._paused.discard(name)
                self._wait_for(lambda: self.state(name).pid != was, 10.0, f"{name} did not die")
            return
        if number != signal.SIGKILL:
            raise StackError(f"Only SIGKILL can keep {name} down; use stop_one() for an orderly stop.")
        # Stopped first, so that it never sees the SIGTERM by which the supervisor learns that it shall stay down.
        self._call("signalProcess", name, "STOP")
        self._call("stopProcess", name, False)  # noqa: FBT003  # wait=False
        self._call("signalProcess", name, "KILL", unless=Faults.NOT_RUNNING)
        self._paused.discard(name)
        self._wait_for(lambda: not self.state(name).is_alive, 10.0, f"{name} did not die")

    def pause(self, name: str) -> None:
        """Freeze a program (SIGSTOP): its connections stay, it answers nothing."""
        self._call("signalProcess", self._known(name).name, "STOP")
        self._paused.add(name)

    def resume(self, name: str) -> None:
        """Let a paused program go on (SIGCONT)."""
        self._paused.discard(name)
        self._call("signalProcess", self._known(name).name, "CONT")

    def wait_ready(self, name: str, timeout_s: float = 60.0) -> None:
        """Wait until a program is ready: its own check, or (without one) that it runs.

        Raises ChildFailedError as soon as it ends, with the last lines of its log, or when the time is over.
        """
        program = self._known(name)
        ready = program.ready if program.ready is not None else lambda: self.state(name).is_alive
        deadline = time.monotonic() + timeout_s
        while not ready():
            if self._ended_by_itself(name):
                note = self.state(name).note
                raise ChildFailedError(f"{name} ended before it was ready ({note}). {self._last_words(name)}")
            if time.monotonic() > deadline:
                raise ChildFailedError(f"{name} was not ready within {timeout_s:.0f} s. {self._last_words(name)}")
            time.sleep(_POLL_S)

    def state(self, name: str) -> ChildState:
        """One program now."""
        return child_state(self._call("getProcessInfo", self._known(name).name))

    def states(self) -> dict[str, ChildState]:
        """All programs now, by name."""
        return {info["name"]: child_state(info) for info in self._call("getAllProcessInfo")}

    def log_path(self, name: str) -> Path:
        """Where a program's output goes."""
        return self._folder.logs / f"{name}.log"

    def log_since_start(self, name: str) -> str:
        """What a program has said since it was last started by us (restarts included; at most the last 200 kB)."""
        with self.log_path(name).open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            start = self._log_starts.get(name, 0)
            log.seek(max(start if start <= size else 0, size - 200_000))  # a rotated log begins anew
            return log.read().decode("utf-8", "replace")

    def _has_begun(self, name: str) -> bool:
        state = self.state(name)
        return state.has_failed or state.pid in self._starts(name)

    def _starts(self, name: str) -> list[int]:
        """Process ids of all starts of a program, told by lifeline.py."""
        try:
            told = (self._folder.run / "programs" / f"{name}.pids").read_text(encoding="ascii")
        except FileNotFoundError:
            return []
        return [int(line) for line in told.splitlines() if line.isdigit()]

    def _ended_by_itself(self, name: str) -> bool:
        """Has it ended since we last started it, other than by our own signals?"""
        starts, expected = len(self._starts(name)), self._expected_starts[name]
        return starts > expected or (starts == expected and self.state(name).has_failed)

    def _last_words(self, name: str) -> str:
        try:
            lines = self.log_since_start(name).splitlines()
        except OSError:
            lines = []
        causes = [line for line in lines[:-_TAIL_LINES] if _CAUSE.search(line)][:_CAUSE_LINES]
        shown = [*causes, "..."] * bool(causes) + lines[-_TAIL_LINES:]
        tail = "\n".join(f"    {line[:400]}" for line in shown)
        return f"Its log is {self.log_path(name)}" + (f" and says:\n{tail}" if tail else ".")

    def _stop_together(self, names: Iterable[str]) -> None:
        names = list(names)
        for name in names:
            self._call("stopProcess", name, False, unless=Faults.NOT_RUNNING)  # noqa: FBT003  # wait=False
            if name in self._paused:  # frozen, it could not hear the signal
                self._paused.discard(name)
                self._call("signalProcess", name, "CONT", unless=Faults.NOT_RUNNING)
        patience_s = 5.0 + max((self._programs[name].stop_wait_s for name in names), default=0)
        self._wait_for(
            lambda: not any(self.state(name).is_alive for name in names),
            patience_s,
            f"{', '.join(names)} did not stop",
        )

    def _wait_for(self, condition: Callable[[], bool], timeout_s: float, otherwise: str) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                raise StackError(f"{otherwise} within {timeout_s:.0f} s (logs in {self._folder.logs}).")
            time.sleep(_POLL_S)

    def _call(self, method: str, *arguments: Any, unless: int | None = None) -> Any:
        """Ask the supervisor. A fault with the number `unless` is what the caller wants anyway."""
        if self._server is None:
            raise StackError("The stack does not run.")
        with self._one_at_a_time:
            try:
                return getattr(self._server.supervisor, method)(*arguments)
            except xmlrpc.client.Fault as fault:
                if fault.faultCode == unless:
                    return None
                raise StackError(f"The supervisor refused {method}{arguments}: {fault.faultString}.") from fault
            except (OSError, HTTPException) as error:
                raise StackError(
                    f"The supervisor of the stack does not answer ({error!r}); see {self._folder.logs}/supervisor.log. "
                    "Stop the stack and start it again.",
                ) from error

    def _known(self, name: str) -> Program:
        try:
            return self._programs[name]
        except KeyError:
            there = ", ".join(self._programs) or "none"
            raise StackError(f"The stack has no program {name}; it has: {there}.") from None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise StackError("The stack does not run.")
        return self._process


def _import_path() -> list[str]:
    """Where the supervisor finds this very package, and what its caller had set."""
    ours = str(Path(__file__).parents[2])
    return [ours, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
