"""What is not as the registry says is found, and told apart from what an operator may choose."""

from dataclasses import replace

import pytest

from schemas.topics import registry
from stream.admin import TopicState, differences

TOPICS = registry(partitions=8, application_id="mine")
EVENTS, CLOCK = TOPICS[0], TOPICS[-1]
AS_IT_SHOULD_BE = {topic.name: TopicState(topic.partitions, 1, topic.config) for topic in TOPICS}


def found_where(topic, **changed):
    return differences(TOPICS, AS_IT_SHOULD_BE | {topic.name: AS_IT_SHOULD_BE[topic.name]._replace(**changed)})


def test_what_is_as_it_should_be_is_not_told():
    assert differences(TOPICS, AS_IT_SHOULD_BE) == []


def test_a_missing_topic_must_be_made():
    found = differences(TOPICS, {name: state for name, state in AS_IT_SHOULD_BE.items() if name != EVENTS.name})
    assert [(one.topic, one.found, one.must_change) for one in found] == [(EVENTS.name, "missing", True)]
    assert found[0].remedy == "smart topics create"


@pytest.mark.parametrize(("topic", "partitions"), [(EVENTS, 4), (EVENTS, 16), (CLOCK, 3)])
def test_a_wrong_number_of_partitions_must_be_put_right(topic, partitions):
    (one,) = found_where(topic, partitions=partitions)
    assert (one.what, one.found, one.expected) == ("partitions", str(partitions), str(topic.partitions))
    assert one.must_change


@pytest.mark.parametrize(
    ("topic", "name", "value"),
    [
        (EVENTS, "message.timestamp.type", "CreateTime"),
        (EVENTS, "cleanup.policy", "compact"),
        (CLOCK, "cleanup.policy", "delete"),
    ],
)
def test_a_policy_that_makes_figures_wrong_must_be_put_right(topic, name, value):
    (one,) = found_where(topic, config=topic.config | {name: value})
    assert (one.what, one.found, one.must_change) == (name, value, True)


def test_how_long_records_are_kept_is_the_operators_choice():
    (one,) = found_where(EVENTS, config=EVENTS.config | {"retention.ms": "1000"})
    assert (one.what, one.must_change) == ("retention.ms", False)


def test_more_copies_are_no_difference():
    assert found_where(EVENTS, replication_factor=3) == []


def test_only_what_the_registry_speaks_of_is_compared():
    assert differences([replace(EVENTS, config={"cleanup.policy": "delete"})], AS_IT_SHOULD_BE) == []
