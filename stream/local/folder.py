"""The data folder of a local stack: who may use it, what lies where, and the addresses it tells the other commands.

- `addresses.json`: where everything listens (written by the stack, read by the other commands)
- `stack.lock`: held while a stack runs, by the launcher and by the supervisor it starts
- `version`: layout of this folder
- `kafka/`, `store/`: state, kept between runs
- `logs/`: one file a program
- `run/`: settings and socket of the supervisor, rewritten at each start
"""

import fcntl
import os
import shutil
import time
from pathlib import Path

import msgspec

from stream.local.errors import DiskFullError, FolderError, FolderInUseError

LAYOUT_VERSION = "1"
MINIMUM_FREE_BYTES = 512 * 1024 * 1024
_GRACE_S = 25.0  # a stack whose launcher was killed takes this long at most to stop
_PROBE_S = 0.5  # somebody who only looks whether the folder is in use is gone by then
_STATE = ("kafka", "store", "logs", "run", "workers")
_FILES = ("addresses.json", "version")


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """What a running stack tells the other commands. `pids` is empty when it was stopped in good order."""

    version: int = 1
    bootstrap_servers: str
    controller_port: int
    redis_url: str
    metrics_ports: dict[str, int] = {}
    pids: dict[str, int] = {}
    settings: dict[str, str] = {}
    """What its workers run with: settings by name, for commands that have to know the same."""


def default_path() -> Path:
    """Return the data folder of this machine's stack: SMART_DATA_DIR, or `.smart` under the current folder."""
    return Path(os.environ.get("SMART_DATA_DIR") or ".smart").absolute()


class DataFolder:
    """One data folder, seen by the stack that owns it or wants to."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.kafka = self.path / "kafka"
        self.store = self.path / "store"
        self.logs = self.path / "logs"
        self.run = self.path / "run"
        self.addresses_path = self.path / "addresses.json"
        self._lock: int | None = None

    def open(self, *, fresh: bool, minimum_free_bytes: int = MINIMUM_FREE_BYTES) -> None:
        """Make the folder, take its lock, check it; with `fresh`, forget what earlier runs left.

        Raises FolderError, FolderInUseError, DiskFullError.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._take_lock()
            if fresh:
                self._clear()
            self._check_layout()
            for folder in (self.kafka, self.store, self.logs, self.run):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            self.close()
            raise FolderError(
                f"The data folder {self.path} cannot be used: {error.strerror or error}. "
                "Make it a writable folder, or name another one in SMART_DATA_DIR.",
            ) from error
        except BaseException:
            self.close()
            raise
        free_bytes = shutil.disk_usage(self.path).free
        if free_bytes < minimum_free_bytes:
            self.close()
            raise DiskFullError(
                f"Only {free_bytes >> 20} MiB are free where {self.path} lies, and the stack wants at least "
                f"{minimum_free_bytes >> 20}. Make room, or name a folder on another disk in SMART_DATA_DIR.",
            )

    def close(self) -> None:
        """Give the lock back (a supervisor that still runs keeps its share of it)."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def lock_descriptor(self) -> int:
        """The open lock file, for the supervisor to inherit: the folder stays locked until both have ended."""
        assert self._lock is not None, "open() comes first"  # noqa: S101
        return self._lock

    def write_addresses(self, addresses: Addresses) -> None:
        """Replace addresses.json at once: a reader sees the old file or the new one."""
        scratch = self.addresses_path.with_suffix(".new")
        scratch.write_bytes(msgspec.json.format(msgspec.json.encode(addresses), indent=2) + b"\n")
        scratch.replace(self.addresses_path)

    def earlier_addresses(self) -> Addresses | None:
        """Return what an earlier run wrote, or None; a damaged file is worth no more than none: it is rewritten."""
        try:
            return read_addresses(self.path)
        except FolderError:
            return None

    def _take_lock(self) -> None:
        """Lock the folder. Waits for a stack that is still stopping because its launcher was killed."""
        path = self.path / "stack.lock"
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        started = time.monotonic()
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
                if time.monotonic() - started > (_PROBE_S if _is_alive(holder) else _GRACE_S):
                    os.close(lock)
                    raise FolderInUseError(
                        f"Another stack runs on {self.path} (process {holder or 'unknown'}). Stop it first, "
                        "or name another folder in SMART_DATA_DIR.",
                    ) from None
                time.sleep(0.05)
        os.truncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
        self._lock = lock

    def _clear(self) -> None:
        """Remove what a stack made here, and nothing else: the folder may be one that the user named by mistake."""
        if not (self.path / "version").exists():
            return
        for name in _STATE:
            shutil.rmtree(self.path / name, ignore_errors=not (self.path / name).exists())
        for name in _FILES:
            (self.path / name).unlink(missing_ok=True)

    def _check_layout(self) -> None:
        version = self.path / "version"
        if not version.exists():
            version.write_text(LAYOUT_VERSION + "\n", encoding="ascii")
            return
        found = version.read_text(encoding="utf-8", errors="replace").strip()
        if found != LAYOUT_VERSION:
            raise FolderError(
                f"The data folder {self.path} has layout {found[:20]!r}, this program knows {LAYOUT_VERSION!r}. "
                "Start afresh (its data are then lost), or name another folder in SMART_DATA_DIR.",
            )


def read_addresses(path: Path) -> Addresses | None:
    """Return what addresses.json of a data folder says, or None if there is none. Raises FolderError if damaged."""
    file = path / "addresses.json"
    try:
        content = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FolderError(f"{file} cannot be read: {error.strerror}. Make it readable.") from error
    try:
        return msgspec.json.decode(content, type=Addresses)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FolderError(
            f"{file} is damaged ({error}). Stop the stack and start it again: it writes the file anew.",
        ) from error


def running_addresses(path: Path | None = None) -> Addresses | None:
    """Return the addresses of the stack that runs on this data folder (default: this machine's), None if none runs."""
    path = default_path() if path is None else path
    addresses = read_addresses(path)
    return addresses if addresses is not None and is_running(path) else None


def is_running(path: Path) -> bool:
    """Does a stack run (or still stop) on this data folder?"""
    try:
        lock = os.open(path / "stack.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
