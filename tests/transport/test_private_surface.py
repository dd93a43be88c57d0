"""What the transport relies on in Faust and aiokafka is there, unchanged, in the versions it was written for.

When this fails after an upgrade: read what became of the name in the new version, look at every use of it in
stream/transport, run the fault tests on a real broker, and only then change the pin or the fingerprint.
"""

import hashlib
import inspect
from importlib.metadata import version

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.consumer import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.producer.producer import AIOKafkaProducer
from aiokafka.producer.sender import Sender
from faust import App
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport import consumer
from faust.transport.drivers import aiokafka as driver
from mode import Service

from stream.transport.private import PINNED

RELIED_ON = [
    PartitionRecords, FetchResult, Fetcher.fetched_records, Service.wait_first,
    Sender._find_coordinator, AIOKafkaClient._metadata_update,
    GroupCoordinator.check_errors, AIOKafkaConsumer.seek_to_beginning, AIOKafkaProducer.begin_transaction,
    AIOKafkaProducer.send_batch,
    AIOKafkaProducer.commit_transaction, AIOKafkaProducer.stop,
    consumer.Consumer.getmany, consumer.Consumer._wait_next_records, consumer.Consumer._drain_messages,
    consumer.Consumer.ack, consumer.Consumer.on_partitions_revoked, consumer.Consumer.on_partitions_assigned,
    consumer.Consumer.commit, consumer.Consumer.maybe_wait_for_commit_to_finish, consumer.Consumer.force_commit,
    consumer.Consumer.on_stop, consumer.Consumer._commit_handler, consumer.Consumer.perform_seek,
    driver.Consumer._to_message, driver.AIOKafkaConsumerThread._fetch_records,
    driver.AIOKafkaConsumerThread._create_worker_consumer,
    driver.AIOKafkaConsumerThread._commit, driver.AIOKafkaConsumerThread.on_start, driver.ConsumerRebalanceListener,
    driver.Producer._settings_default, driver.Producer._settings_auth, driver.Producer.on_start,
    driver.Producer.on_stop,
    Recovery._restart_recovery, Recovery.on_rebalance, Recovery.on_recovery_completed, Recovery._slurp_changelogs,
    Recovery._publish_stats, TableManager.on_start, TableManager._update_channels, TableManager.on_rebalance,
    App._on_partitions_revoked, App._on_partitions_assigned, App._stop_consumer, App._on_agent_error,
]  # fmt: skip
"""Everything that is overridden, called or reasoned about."""

FINGERPRINTS: dict[str, str] = {
    "AIOKafkaClient._metadata_update": "06dc51ed3e0d",
    "AIOKafkaConsumer.seek_to_beginning": "231229deedd7",
    "AIOKafkaConsumerThread._commit": "932852ce7a23",
    "AIOKafkaConsumerThread._create_worker_consumer": "c2701bfc3e6f",
    "AIOKafkaConsumerThread._fetch_records": "39a2c6c79fc1",
    "AIOKafkaConsumerThread.on_start": "38b4e8bd1e10",
    "AIOKafkaProducer.begin_transaction": "f5128199fc27",
    "AIOKafkaProducer.commit_transaction": "c7f9677c8941",
    "AIOKafkaProducer.send_batch": "bf42b0f0c5c0",
    "AIOKafkaProducer.stop": "43ef97147111",
    "App._on_agent_error": "bdd12f286de6",
    "App._on_partitions_assigned": "de932b7927db",
    "App._on_partitions_revoked": "d5c895bbe57d",
    "App._stop_consumer": "55854a5de12c",
    "Consumer._commit_handler": "4e5da5df0730",
    "Consumer._drain_messages": "44a2500309e8",
    "Consumer._to_message": "7c24f6511b2f",
    "Consumer._wait_next_records": "6218e1969a63",
    "Consumer.ack": "5fcf41cf4515",
    "Consumer.commit": "a354437baaa0",
    "Consumer.force_commit": "cc094614d22c",
    "Consumer.getmany": "4b168d84882a",
    "Consumer.maybe_wait_for_commit_to_finish": "d687f63a0b5e",
    "Consumer.on_partitions_assigned": "29ce96596f05",
    "Consumer.on_partitions_revoked": "d04b7ae72c6f",
    "Consumer.on_stop": "45b1d2210ce2",
    "Consumer.perform_seek": "0e8c130ff4b0",
    "ConsumerRebalanceListener": "f3d04f29dfb3",
    "FetchResult": "d7db13f06de8",
    "Fetcher.fetched_records": "be4348896b9b",
    "GroupCoordinator.check_errors": "ba6ca51ad348",
    "PartitionRecords": "94aa0da0dbec",
    "Producer._settings_auth": "6d47a0b8599c",
    "Producer._settings_default": "9c39987fb719",
    "Producer.on_start": "219c9a7a785d",
    "Producer.on_stop": "86799c5ab7b6",
    "Recovery._publish_stats": "48939a846a9a",
    "Recovery._restart_recovery": "6bd8a8558a2d",
    "Recovery._slurp_changelogs": "7825c7e50f76",
    "Recovery.on_rebalance": "aa4d997a1795",
    "Recovery.on_recovery_completed": "6ef567acf072",
    "Sender._find_coordinator": "33001a36bf6a",
    "Service.wait_first": "feade6a31f8a",
    "TableManager._update_channels": "88e3941facc9",
    "TableManager.on_rebalance": "2d2c23a07bf5",
    "TableManager.on_start": "365dd25fbc0e",
}
"""Qualified name → first 12 digits of the SHA-256 of its source."""


def fingerprint(found):
    found = getattr(found, "fun", found)  # a Service.task
    return hashlib.sha256(inspect.getsource(found).encode()).hexdigest()[:12]


def name_of(found):
    return getattr(found, "fun", found).__qualname__


@pytest.mark.parametrize("package", PINNED)
def test_the_pinned_version_is_installed(package):
    assert version(package) == PINNED[package]


def test_what_the_transport_relies_on_is_unchanged():
    found = {name_of(each): fingerprint(each) for each in RELIED_ON}
    changed = sorted(name for name in found.keys() | FINGERPRINTS.keys() if found.get(name) != FINGERPRINTS.get(name))
    assert not changed, f"look at these again: {changed}"


def test_a_consumer_still_has_the_attributes_that_are_read_and_set():
    names = consumer.Consumer.__annotations__.keys() | vars(consumer.Consumer).keys()
    assert {"_read_offset", "_committed_offset", "_unacked_messages", "_waiting_for_ack", "_add_gap"} <= names
    assert "_consumer" in driver.AIOKafkaConsumerThread.__annotations__
    assert {"_generation_id", "signal_recovery_start"} <= vars(Recovery).keys() | Recovery.__annotations__.keys()
