"""Topics as they are, next to topics as they should be. Makes what is missing, changes nothing that is there.

`differences` is the pure part. A topic with the wrong partitions, policy or time stamps makes figures wrong, so these
must be put right; how long records are kept and how often they are compacted is the operator's choice, and only told.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource
from kafka.errors import (
    InvalidReplicationFactorError,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
)

from schemas.errors import SmartError
from schemas.topics import Topic

BINDING_CONFIG: Final = frozenset({"cleanup.policy", "message.timestamp.type"})
"""Configuration that must be as the registry says; the rest may be set otherwise."""

_TIMEOUT_MS: Final = 15_000
_BOOTSTRAP_MS: Final = 3_000
_VISIBLE_S_MAX: Final = 15.0
_NO_ERROR: Final = 0
_UNKNOWN_TOPIC: Final = 3


class AdminError(SmartError):
    """The brokers cannot be reached or refuse; the message says what to do."""


class TopicState(NamedTuple):
    """A topic as it was found."""

    partitions: int
    replication_factor: int
    """The smallest of its partitions."""
    config: Mapping[str, str]
    """The values in force of what the registry speaks of."""


class Difference(NamedTuple):
    """Something that is not as the registry says."""

    topic: str
    what: str
    found: str
    expected: str
    remedy: str
    must_change: bool
    """It makes figures wrong; else it is the operator's own choice."""


def differences(expected: Iterable[Topic], found: Mapping[str, TopicState]) -> list[Difference]:
    """Everything that is not as it should be, in the order of the registry."""
    listed: list[Difference] = []
    for topic in expected:
        state = found.get(topic.name)
        if state is None:
            listed.append(Difference(topic.name, "topic", "missing", "there", "smart topics create", must_change=True))
            continue
        if state.partitions != topic.partitions:
            listed.append(_wrong_partitions(topic, state))
        listed.extend(_wrong_config(topic, state))
    return listed


def _wrong_partitions(topic: Topic, state: TopicState) -> Difference:
    # Adding partitions would move users to others, where nothing is known of them.
    remedy = "copy it into a new topic with the right number, or set SMART_PARTITIONS and rebuild"
    if topic.partitions == 1:
        remedy = "delete it and make it again: it is written from its source"
    return Difference(topic.name, "partitions", str(state.partitions), str(topic.partitions), remedy, must_change=True)


def _wrong_config(topic: Topic, state: TopicState) -> Iterable[Difference]:
    for name, value in topic.config.items():
        there = state.config.get(name, "")
        if there == value:
            continue
        binds = name in BINDING_CONFIG
        remedy = "alter the topic's configuration" if binds else ""
        yield Difference(topic.name, name, there or "not set", value, remedy, must_change=binds)


class Admin:
    """A connection to the brokers for administration; a context manager. Every method raises AdminError."""

    def __init__(self, brokers: str) -> None:
        self._brokers = brokers

    def __enter__(self) -> Self:
        try:
            self._client: Any = KafkaAdminClient(
                bootstrap_servers=self._brokers.split(","),
                client_id="smart-topics",
                request_timeout_ms=_TIMEOUT_MS,
                bootstrap_timeout_ms=_BOOTSTRAP_MS,
            )
        except (KafkaError, OSError) as error:
            raise AdminError(
                f"no Kafka broker answers at {self._brokers}; start one with 'smart demo', or set SMART_BROKERS"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def find(self, topics: Sequence[Topic]) -> dict[str, TopicState]:
        """Those of the topics that exist."""
        try:
            described = self._client.describe_topics([topic.name for topic in topics])
            there = [one for one in described if one["error_code"] == _NO_ERROR]
            refused = [one for one in described if one["error_code"] not in (_NO_ERROR, _UNKNOWN_TOPIC)]
            if refused:
                names = ", ".join(f"{one['name']} (error {one['error_code']})" for one in refused)
                raise AdminError(f"the brokers at {self._brokers} do not describe {names}; see their log")
            configs = self._configs([topic for topic in topics if topic.name in {one["name"] for one in there}])
        except KafkaError as error:
            raise self._failed("topics cannot be listed", error) from error
        return {
            one["name"]: TopicState(
                len(one["partitions"]),
                min((len(partition["replica_nodes"]) for partition in one["partitions"]), default=0),
                configs[one["name"]],
            )
            for one in there
        }

    def create(self, topics: Sequence[Topic], replication_factor: int) -> list[str]:
        """Make those that do not exist, and wait until they can be seen; returns their names."""
        there = self.find(topics)
        missing = [topic for topic in topics if topic.name not in there]
        created = [topic.name for topic in missing if self._create(topic, replication_factor)]
        deadline = time.monotonic() + _VISIBLE_S_MAX
        while len(self.find(missing)) < len(missing):
            if time.monotonic() > deadline:
                raise AdminError(f"new topics do not appear at {self._brokers}; see the brokers' log")
            time.sleep(0.05)
        return created

    def _create(self, topic: Topic, replication_factor: int) -> bool:
        asked = {
            "num_partitions": topic.partitions,
            "replication_factor": replication_factor,
            "configs": dict(topic.config),
        }
        try:
            self._client.create_topics({topic.name: asked}, timeout_ms=_TIMEOUT_MS)
        except TopicAlreadyExistsError:
            return False  # another program made it meanwhile
        except InvalidReplicationFactorError as error:
            raise AdminError(
                f"topic {topic.name} cannot have {replication_factor} copies: there are fewer brokers; "
                "lower SMART_REPLICATION_FACTOR or start more of them"
            ) from error
        except KafkaError as error:
            raise self._failed(f"topic {topic.name} cannot be made", error) from error
        return True

    def _configs(self, topics: Sequence[Topic]) -> dict[str, dict[str, str]]:
        if not topics:
            return {}
        asked = [ConfigResource("TOPIC", topic.name, configs=list(topic.config)) for topic in topics]
        answer = self._client.describe_configs(asked, config_filter="all")["topic"]
        return {name: {key: str(entry["value"]) for key, entry in entries.items()} for name, entries in answer.items()}

    def _failed(self, what: str, error: KafkaError) -> AdminError:
        hint = "; this client may not: give it the right to" if isinstance(error, TopicAuthorizationFailedError) else ""
        return AdminError(f"{what} at {self._brokers}: {error}{hint}")
