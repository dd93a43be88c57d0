"""The broker: one Apache Kafka node in KRaft mode, its settings, its storage and its readiness."""

import socket
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stream.local.errors import ChildFailedError, FolderError
from stream.local.java import Java
from stream.local.ports import HOST

NODE_ID = 1

_SETTINGS: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": str(NODE_ID),
    "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "CLIENTS",
    "controller.listener.names": "CONTROLLER",
    # A forgotten topic is a mistake to see, not one to hide.
    "auto.create.topics.enable": "false",
    # One node: what a cluster keeps three times is kept once.
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # Few partitions of the broker's own topics: each costs files and time at every start.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "1",
    # A group starts with its first member, and tests may take short sessions.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # Nothing is forgotten unless its topic says so; what a topic deletes goes at once.
    "log.retention.ms": "-1",
    "log.retention.bytes": "-1",
    "offsets.retention.minutes": "525600",
    "file.delete.delay.ms": "1000",
    # Sized for a laptop.
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
}


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """What may differ from one stack to another.

    `quick_start` keeps the JVM to its first compiler: the broker is ready in 2.3 s instead of 3.8 and takes less CPU
    while warming up, but about a third more per record once warm: benchmarks turn it off.
    `settings` are further lines of server.properties; they win over the stack's own.
    """

    heap_mib: int = 768
    quick_start: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker on its data folder and ports. `folder` holds server.properties and data/; `jvm_flags` are its own."""

    folder: Path
    port: int
    controller_port: int
    java: Java
    class_path: str
    options: BrokerOptions = field(default_factory=BrokerOptions)
    jvm_flags: tuple[str, ...] = ()

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect: host:port."""
        return f"{HOST}:{self.port}"

    @property
    def command(self) -> list[str]:
        """How the supervisor starts it."""
        options = self.options
        java = self._java(options.heap_mib, *self.jvm_flags, quick=options.quick_start)
        return [*java, "kafka.Kafka", str(self._properties_path)]

    def prepare(self) -> None:
        """Write server.properties and, for a new folder, format the storage (0.8 s). Raises FolderError."""
        lines = self._properties()
        self._properties_path.write_text("".join(f"{k}={v}\n" for k, v in lines.items()), encoding="latin-1")
        meta = self._data / "meta.properties"
        if meta.exists():
            _check_meta(meta)
            return
        self._format()

    def _properties(self) -> dict[str, str]:
        clients, controller = f"CLIENTS://{self.bootstrap_servers}", f"CONTROLLER://{HOST}:{self.controller_port}"
        return {
            **_SETTINGS,
            "listeners": f"{clients},{controller}",
            "advertised.listeners": clients,
            "controller.quorum.voters": f"{NODE_ID}@{HOST}:{self.controller_port}",
            "log.dirs": _escaped(str(self._data)),
            **self.options.settings,
        }

    def _format(self) -> None:
        # The tool takes an id that begins with a dash for an option.
        cluster_id = "S" + urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii")[1:].rstrip("=")
        java = self._java(128, *self.jvm_flags, quick=True)
        tool = [*java, "kafka.tools.StorageTool", "format", "--cluster-id", cluster_id]
        run = subprocess.run(
            [*tool, "--config", str(self._properties_path)],
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            said = "\n".join((run.stdout + run.stderr).splitlines()[-5:])
            raise FolderError(
                f"The broker's storage in {self._data} could not be formatted:\n{said}\n"
                f"Start afresh, or remove {self.folder}, or name another folder in SMART_DATA_DIR.",
            )

    def _java(self, heap_mib: int, *flags: str, quick: bool) -> list[str]:
        return [
            str(self.java.binary),
            *flags,
            f"-Xmx{heap_mib}m",
            "-XX:+UseSerialGC",
            *(["-XX:TieredStopAtLevel=1"] if quick else []),
            "-XX:-UsePerfData",
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.awt.headless=true",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
            # Five times all settings at each start, and no news.
            "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config.AbstractConfig=warn",
            "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaConfig=warn",
            "-cp",
            self.class_path,
        ]

    @property
    def _properties_path(self) -> Path:
        return self.folder / "server.properties"

    @property
    def _data(self) -> Path:
        return self.folder / "data"


def _check_meta(meta: Path) -> None:
    """Is this the storage of our node? The broker itself would only say so in a stack trace."""
    lines = meta.read_text(encoding="utf-8", errors="replace").splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    if not found.get("cluster.id") or found.get("node.id") != str(NODE_ID):
        raise FolderError(
            f"{meta} is damaged: it names no cluster.id, or another node. Start afresh (the topics are then lost), "
            f"or put back a good copy of {meta.parent}.",
        )


def _escaped(value: str) -> str:
    """Write a value as .properties files want it: backslashes doubled, what is not ASCII as UTF-16 escapes."""
    utf16 = value.replace("\\", "\\\\").encode("utf-16-be", "surrogatepass")
    units = (int.from_bytes(utf16[i : i + 2]) for i in range(0, len(utf16), 2))
    return "".join(chr(unit) if unit < 0x80 else f"\\u{unit:04x}" for unit in units)


def answers(bootstrap_servers: str) -> bool:
    """Does the broker serve clients: is it registered, unfenced and named in its own metadata?"""
    if not _listens(bootstrap_servers):  # asked first: the client would wait seconds between its own attempts
        return False
    from kafka import KafkaAdminClient  # noqa: PLC0415  # 0.2 s, spent while the broker starts
    from kafka.errors import KafkaError  # noqa: PLC0415

    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=3_000, client_id="smart-local")
    except KafkaError:
        return False
    try:
        return bool(admin.describe_cluster()["brokers"])
    except KafkaError:
        return False
    finally:
        admin.close()


def _listens(bootstrap_servers: str) -> bool:
    host, port = bootstrap_servers.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout=1.0):
            return True
    except OSError:
        return False


def wait_until_answers(bootstrap_servers: str, timeout_s: float = 60.0) -> None:
    """Wait for a broker, whoever runs it. Raises ChildFailedError after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not answers(bootstrap_servers):
        if time.monotonic() > deadline:
            raise ChildFailedError(f"No broker answered at {bootstrap_servers} within {timeout_s:.0f} s.")
        time.sleep(0.1)
