"""What a figure was measured on, and how much CPU a process has used so far."""

import datetime as dt
import os
import platform
import subprocess
import threading
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PACKAGES = ("faust-streaming", "aiokafka", "numba", "numpy", "msgspec", "uvloop")


def machine() -> dict[str, object]:
    """CPU, cores, memory, system, and how busy all of it is at this moment."""
    return {
        "cpu": _first_of("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Python, the packages that decide over speed, the broker, and the state of this repository."""
    from stream.local.jars import KAFKA_VERSION  # noqa: PLC0415 - the broker is not needed to read results

    found = {"python": platform.python_version(), "kafka": KAFKA_VERSION}
    found |= {name: version(name) for name in _PACKAGES}
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parent,
    )  # fmt: skip
    return found | ({"commit": commit.stdout.strip()} if commit.returncode == 0 else {})


def now() -> str:
    """The instant, RFC 3339 in UTC, to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _first_of(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def cpu_s(pid: int) -> float:
    """User and system seconds of a process and its threads; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def resident_bytes(pid: int) -> int:
    """Resident memory of a process; 0 when it is gone."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


class Sample(NamedTuple):
    """CPU seconds and memory of each watched process at an instant (seconds since the epoch)."""

    at: float
    cpu: dict[str, float]
    resident: dict[str, int]


@dataclass
class Sampler:
    """Reads the CPU of processes every 50 ms while the block runs, so that it can be told for any instant of it."""

    pids: dict[str, int]
    samples: list[Sample] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._take()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._take()

    def cpu_until(self, name: str, at: float) -> float:
        """CPU seconds that a process had used at an instant."""
        return next((s.cpu[name] for s in self.samples if s.at >= at), self.samples[-1].cpu[name])

    def peak_bytes(self, name: str) -> int:
        """The most memory that a process had."""
        return max(s.resident[name] for s in self.samples)

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            self._take()

    def _take(self) -> None:
        cpu = {name: cpu_s(pid) for name, pid in self.pids.items()}
        self.samples.append(Sample(time.time(), cpu, {name: resident_bytes(pid) for name, pid in self.pids.items()}))
