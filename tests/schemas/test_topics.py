"""The registry names every topic that the system needs, and each is what its use asks for."""

import pytest

from schemas.event import Action
from schemas.topics import (
    CLOCK,
    EVENT_TOPICS,
    FACTORS_LIVE,
    FACTORS_PAGES,
    FACTORS_RESTATEMENTS,
    SHOPS,
    TOPIC_OF_ACTION,
    dead_letter_topic,
    registry,
)

TOPICS = {topic.name: topic for topic in registry(partitions=6, application_id="mine")}


def test_every_action_has_a_topic():
    assert set(TOPIC_OF_ACTION) == set(Action)
    assert set(TOPIC_OF_ACTION.values()) == set(EVENT_TOPICS)


@pytest.mark.parametrize(
    "name", [*EVENT_TOPICS, *map(dead_letter_topic, EVENT_TOPICS), FACTORS_PAGES, FACTORS_LIVE, FACTORS_RESTATEMENTS]
)
def test_what_belongs_to_a_partition_has_all_of_them(name):
    assert TOPICS[name].partitions == 6


@pytest.mark.parametrize("name", EVENT_TOPICS)
def test_events_carry_the_time_of_their_arrival(name):
    assert TOPICS[name].config["message.timestamp.type"] == "LogAppendTime"
    assert not TOPICS[name].is_compacted


@pytest.mark.parametrize("name", ["mine-ledgers-changelog", FACTORS_PAGES, FACTORS_LIVE, SHOPS, CLOCK])
def test_state_is_compacted_and_never_expires(name):
    assert TOPICS[name].is_compacted
    assert "retention.ms" not in TOPICS[name].config


@pytest.mark.parametrize("name", [SHOPS, CLOCK])
def test_what_all_workers_follow_has_one_partition(name):
    assert TOPICS[name].partitions == 1


def test_names_are_those_that_a_broker_takes():
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz.-_") for name in TOPICS)
    assert len(TOPICS) == len(registry(partitions=6, application_id="mine"))
