"""The local stack: broker, store, workers and whatever else, on one data folder, behind one object.

    with LocalStack() as stack:                 # in .smart/, or where SMART_DATA_DIR says
        stack.add_worker()
        stack.wait_ready("worker-1")
        stack.kill("worker-1")                  # comes back by itself
        stack.wait_for_signal()                 # until Ctrl-C or SIGTERM

`smart demo` runs on it, and so do the tests: nothing they need is mocked.
"""

import contextlib
import errno
import itertools
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self
from urllib.error import URLError
from urllib.request import urlopen

from stream.local import archive, jars, kafka, ports, store
from stream.local import folder as folders
from stream.local.children import Children
from stream.local.errors import ChildFailedError, DiskFullError, FolderError, PortTakenError, StackError
from stream.local.folder import Addresses, DataFolder
from stream.local.java import find_java
from stream.local.kafka import Broker, BrokerOptions
from stream.local.programs import ChildState, Program
from stream.local.store import Store

BROKER, STORE = "broker", "store"
WORKER_COMMAND = (sys.executable, "-m", "stream.cli", "worker")
_BROKER_ORDER, _STORE_ORDER, _DEFAULT_ORDER, _WORKER_ORDER = 10, 20, 500, 900
_BROKER_TIMEOUT_S = 90.0
_WORKER_STOP_S = 20
_NOTHING_BYTES = 64 * 1024  # a disk with less than this is full


class LocalStack:
    """Everything SMART stream needs, on loopback. State is kept between runs unless `fresh`.

    `kafka_port` and `store_port` insist on a port; without them the last run's are taken again if free, else others.
    `on_step` is told what happens, for a person to read.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        fresh: bool = False,
        kafka_port: int | None = None,
        store_port: int | None = None,
        broker: BrokerOptions | None = None,
        minimum_free_bytes: int = folders.MINIMUM_FREE_BYTES,
        on_step: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.folder = DataFolder(folders.default_path() if folder is None else Path(folder))
        self._fresh = fresh
        self._asked_ports = (kafka_port, store_port)
        self._broker_options = broker or BrokerOptions()
        self._minimum_free_bytes = minimum_free_bytes
        self._on_step = on_step
        self._children = Children(self.folder)
        self._broker: Broker | None = None
        self._store: Store | None = None
        self._metrics_ports: dict[str, int] = {}
        self._earlier: Addresses | None = None
        self._settings: dict[str, str] = {}
        self._worker_numbers = itertools.count(1)

    # Life

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

    def start(self) -> None:
        """Install what is missing, start broker and store, wait until both answer, write addresses.json.

        Raises a StackError that says what to do; nothing is left running then.
        """
        java = find_java()
        store_binary = store.find_server()
        class_path = self._class_path()
        self.folder.open(fresh=self._fresh, minimum_free_bytes=self._minimum_free_bytes)
        try:
            self._earlier = self.folder.earlier_addresses()
            self._settings = dict(self.earlier_settings)
            kafka_port, controller_port, store_port = self._choose_ports()
            self._broker = Broker(
                self.folder.kafka,
                kafka_port,
                controller_port,
                java,
                class_path,
                self._broker_options,
                archive.flags(java),
            )
            self._store = Store(self.folder.store, store_port, store_binary)
            with _in_plain_words(self.folder):
                self._start_children(self._broker, self._store)
        except BaseException:
            with contextlib.suppress(StackError):  # the first error is the one to tell
                self.stop()
            raise
        self._tell_addresses()

    def stop(self) -> None:
        """Stop workers, then the store, then the broker; give the folder back. Data stay. Safe to repeat."""
        if self._broker is None:
            self.folder.close()
            return
        self._on_step("stopping")
        try:
            self._children.stop()
        finally:
            with contextlib.suppress(OSError):  # a full disk must not keep the folder locked
                self.folder.write_addresses(self._addresses(pids={}))
            self._broker = self._store = None
            self._metrics_ports.clear()
            self._worker_numbers = itertools.count(1)
            self.folder.close()

    def wait_for_signal(self) -> int:
        """Block until SIGINT (Ctrl-C) or SIGTERM and return its number. Main thread only."""
        heard = threading.Event()
        numbers: list[int] = []

        def hear(number: int, _frame: FrameType | None) -> None:
            numbers.append(number)
            heard.set()

        before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            while not heard.wait(1.0):
                if self._children.supervisor_exit_code is not None:
                    raise StackError(f"The supervisor of the stack has ended; see {self.folder.logs}/supervisor.log.")
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return numbers[0]

    # Addresses

    @property
    def bootstrap_servers(self) -> str:
        """The broker: host:port."""
        return self._running_broker().bootstrap_servers

    @property
    def redis_url(self) -> str:
        """The store."""
        self._running_broker()
        assert self._store is not None, "broker and store come and go together"  # noqa: S101
        return self._store.url

    @property
    def addresses(self) -> Addresses:
        """What addresses.json says, with the process ids of this moment."""
        pids = {name: state.pid for name, state in self._children.states().items() if state.pid is not None}
        return self._addresses({"launcher": os.getpid(), "supervisor": self._children.supervisor_pid, **pids})

    def environment(self) -> dict[str, str]:
        """Return the settings by which our own programs find this stack."""
        return {
            "SMART_DATA_DIR": str(self.folder.path),
            "SMART_BROKERS": self.bootstrap_servers,
            "SMART_REDIS_URL": self.redis_url,
        }

    def tell_settings(self, settings: Mapping[str, str]) -> None:
        """Let the other commands know what the workers run with."""
        self._settings = dict(settings)
        self._tell_addresses()

    @property
    def earlier_settings(self) -> Mapping[str, str]:
        """What the workers of the last run on this folder ran with; nothing where there was none."""
        return self._earlier.settings if self._earlier else {}

    # Programs

    def add(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
        ready: Callable[[], bool] | None = None,
        order: int = _DEFAULT_ORDER,
        stop_wait_s: int = 15,
    ) -> None:
        """Start a supervised program beside the stack (stopped before the store); `ready` tells when it is."""
        env = {**self.environment(), **(env or {})}
        program = Program(name, tuple(argv), folder or Path.cwd(), order, env, stop_wait_s, ready)
        self._children.add(program)
        self._tell_addresses()

    def add_worker(
        self,
        name: str | None = None,
        *,
        env: Mapping[str, str] | None = None,
        argv: Sequence[str] = WORKER_COMMAND,
        ready: Callable[[], bool] | None = None,
    ) -> str:
        """Start one more worker with a metrics port of its own; return its name (worker-1, worker-2 …).

        It is ready when its metrics can be read, unless `ready` says otherwise.
        """
        if name is None:
            taken = self._children.states()
            name = next(n for n in (f"worker-{i}" for i in self._worker_numbers) if n not in taken)
        remembered = self._earlier.metrics_ports.get(name) if self._earlier else None
        port = ports.choose(remembered, self.taken_ports())
        self._metrics_ports[name] = port
        env = {"SMART_METRICS_PORT": str(port), "SMART_METRICS_HOST": ports.HOST, **(env or {})}
        check = ready or (lambda: _serves_metrics(port))
        self.add(name, argv, env=env, ready=check, order=_WORKER_ORDER, stop_wait_s=_WORKER_STOP_S)
        return name

    def remove(self, name: str) -> None:
        """Stop a program and forget it."""
        self._children.remove(name)
        self._metrics_ports.pop(name, None)
        self._tell_addresses()

    def names(self) -> list[str]:
        """Return the names of all programs, broker and store included."""
        return list(self._children.states())

    def state(self, name: str) -> ChildState:
        """Tell the state of one program."""
        return self._children.state(name)

    def pid(self, name: str) -> int:
        """Process id of a program; raises StackError if it has none now."""
        pid = self.state(name).pid
        if pid is None:
            raise StackError(f"{name} does not run; see {self._children.log_path(name)}.")
        return pid

    def log_path(self, name: str) -> Path:
        """Where a program's output goes."""
        return self._children.log_path(name)

    def log_since_start(self, name: str) -> str:
        """Return what a program has said since it was added or started again."""
        return self._children.log_since_start(name)

    def wait_ready(self, name: str, timeout_s: float = 60.0) -> None:
        """Wait until a program is ready; raises ChildFailedError if it ends or takes too long."""
        self._children.wait_ready(name, timeout_s)

    def stop_child(self, name: str) -> None:
        """Stop a program in good order; it stays down until `start_child`."""
        self._children.stop_one(name)

    def start_child(self, name: str) -> None:
        """Start a stopped program again (same command, ports and data); `wait_ready` tells when it is."""
        self._children.start_again(name)

    def restart(self, name: str, timeout_s: float = 60.0) -> None:
        """Stop a program in good order, start it again, and wait until it is ready."""
        self.stop_child(name)
        self.start_child(name)
        self.wait_ready(name, timeout_s)

    def kill(self, name: str, number: int = signal.SIGKILL, *, stay_down: bool = False) -> None:
        """Send a signal, SIGKILL by default. What dies of it comes back by itself, unless `stay_down`.

        Killed, it is gone when this returns; `wait_ready` tells when its successor is ready.
        """
        self._children.kill(name, number, stay_down=stay_down)

    def pause(self, name: str) -> None:
        """Freeze a program (SIGSTOP)."""
        self._children.pause(name)

    def resume(self, name: str) -> None:
        """Let a paused program go on (SIGCONT)."""
        self._children.resume(name)

    # Inside

    def _class_path(self) -> str:
        found = jars.installed_class_path()
        if found is not None:
            return found
        self._on_step("downloading the broker (44 MB, once)")
        return jars.install()

    def _choose_ports(self) -> tuple[int, int, int]:
        """Ports of clients, controller and store: those asked for, else the last run's, else free ones."""
        asked_kafka, asked_store = self._asked_ports
        earlier = self._earlier
        chosen: list[int] = []
        wishes = (
            (asked_kafka, "the broker", _port_of(earlier.bootstrap_servers) if earlier else None),
            (None, "the controller", earlier.controller_port if earlier else None),
            (asked_store, "the store", _port_of(earlier.redis_url) if earlier else None),
        )
        reserved = {port for port in self._asked_ports if port is not None}
        for asked, what, remembered in wishes:
            port = ports.require(asked, what) if asked is not None else ports.choose(remembered, {*reserved, *chosen})
            chosen.append(port)
        kafka_port, controller_port, store_port = chosen
        if kafka_port == store_port:
            raise PortTakenError(f"Broker and store were both asked to listen on port {kafka_port}; choose two ports.")
        return kafka_port, controller_port, store_port

    def _start_children(self, broker: Broker, serving_store: Store) -> None:
        self._children.start()
        self._on_step("starting the store")
        self._children.add(
            Program(
                STORE,
                serving_store.command,
                serving_store.folder,
                _STORE_ORDER,
                ready=lambda: store.answers(serving_store.url),
            ),
        )
        self._on_step("starting the broker")
        broker.prepare()
        self._children.add(
            Program(
                BROKER,
                broker.command,
                broker.folder,
                _BROKER_ORDER,
                stop_wait_s=30,
                ready=lambda: kafka.answers(broker.bootstrap_servers),
            ),
        )
        self._children.wait_ready(STORE)
        self._children.wait_ready(BROKER, _BROKER_TIMEOUT_S)

    def _addresses(self, pids: dict[str, int]) -> Addresses:
        assert self._broker is not None, "only a started stack has addresses"  # noqa: S101
        assert self._store is not None, "broker and store come and go together"  # noqa: S101
        return Addresses(
            bootstrap_servers=self._broker.bootstrap_servers,
            controller_port=self._broker.controller_port,
            redis_url=self._store.url,
            metrics_ports=dict(self._metrics_ports),
            pids=pids,
            settings=dict(self._settings),
        )

    def _tell_addresses(self) -> None:
        self.folder.write_addresses(self.addresses)

    def taken_ports(self) -> set[int]:
        """Return every port of this stack."""
        assert self._broker is not None, "only a started stack has workers"  # noqa: S101
        assert self._store is not None, "broker and store come and go together"  # noqa: S101
        return {self._broker.port, self._broker.controller_port, self._store.port, *self._metrics_ports.values()}

    def _running_broker(self) -> Broker:
        if self._broker is None:
            raise StackError(f"The stack on {self.folder.path} does not run; start it first.")
        return self._broker


@contextlib.contextmanager
def _in_plain_words(folder: DataFolder) -> Iterator[None]:
    """Say what is wrong with disk or ports, where a program of the stack or the system says it in words of its own."""
    full = f"The disk of {folder.path} is full: make room there."
    try:
        yield
    except (ChildFailedError, FolderError) as error:
        said = str(error)
        if os.strerror(errno.ENOSPC) in said:
            raise DiskFullError(f"{full} {said}") from error
        if os.strerror(errno.EADDRINUSE) in said:
            raise PortTakenError(f"A port was taken while the stack started: start it again. {said}") from error
        raise
    except StackError as error:
        if shutil.disk_usage(folder.path).free < _NOTHING_BYTES:
            raise DiskFullError(f"{full} {error}") from error
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFullError(f"{full} ({error})") from error
        if error.filename is None:  # not about a file
            raise
        raise FolderError(f"The data folder {folder.path} cannot be used: {error}.") from error


def _port_of(address: str) -> int | None:
    digits = address.rsplit(":", 1)[-1].split("/", 1)[0]
    return int(digits) if digits.isdigit() else None


def _serves_metrics(port: int) -> bool:
    """Can the metrics of a program be read?"""
    try:
        with urlopen(f"http://{ports.HOST}:{port}/metrics", timeout=1.0) as response:
            return bool(response.status == 200)
    except (URLError, OSError):
        return False
