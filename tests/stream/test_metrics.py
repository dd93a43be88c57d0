"""Metrics count in a registry of their own and are served on a port of their own."""

from urllib.request import urlopen

import pytest

from schemas.errors import SmartError
from schemas.metrics import COMMIT_SECONDS, COMMITS, EVENTS_CONSUMED, LAG_RECORDS, METRICS, PARTITIONS_OWNED
from stream.metrics import Metrics


def scrape(port):
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return answer.read().decode()


def test_every_declared_metric_is_served_with_its_type_and_meaning():
    with Metrics().served("127.0.0.1", 0) as port:
        text = scrape(port)
    for metric in METRICS:
        assert f"# HELP {metric.name} " in text
        assert f"# TYPE {metric.name} {metric.kind}" in text


def test_what_was_counted_is_what_is_scraped():
    metrics = Metrics()
    metrics.count(EVENTS_CONSUMED, 40, topic="events.cart")
    metrics.count(EVENTS_CONSUMED, 2, topic="events.cart")
    metrics.set(PARTITIONS_OWNED, 4)
    metrics.observe(COMMIT_SECONDS, 0.02)
    with metrics.served("127.0.0.1", 0) as port:
        text = scrape(port)
    assert 'smart_events_consumed_total{topic="events.cart"} 42.0' in text
    assert "smart_partitions_owned 4.0" in text
    assert 'smart_commit_seconds_bucket{le="0.025"} 1.0' in text


def test_a_partition_that_went_elsewhere_is_not_told_any_more():
    metrics = Metrics()
    for partition in (3, 4):
        metrics.set(LAG_RECORDS, 10, topic="events.cart", partition=partition)
    metrics.forget_partition(3)
    assert metrics.value(LAG_RECORDS, topic="events.cart", partition=3) is None
    assert metrics.value(LAG_RECORDS, topic="events.cart", partition=4) == 10


def test_two_workers_in_one_process_do_not_share_their_counts():
    mine, yours = Metrics(), Metrics()
    mine.count(COMMITS)
    assert (mine.value(COMMITS), yours.value(COMMITS)) == (1, 0)


def test_a_taken_port_is_told_with_the_setting_that_names_another():
    first, second = Metrics(), Metrics()
    with first.served("127.0.0.1", 0) as port, pytest.raises(SmartError, match="SMART_METRICS_PORT"):  # noqa: SIM117
        with second.served("127.0.0.1", port):
            pass
