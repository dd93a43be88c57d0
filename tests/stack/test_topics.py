"""Topics are made once on a real broker, as the registry says, and what is wrong there is found."""

from dataclasses import replace

import pytest

from schemas.topics import registry
from stream.admin import Admin, AdminError, differences

TOPICS = [
    replace(topic, name=f"topics-test.{topic.name}") for topic in registry(partitions=3, application_id="topics-test")
]


@pytest.fixture
def admin(stack):
    with Admin(stack.bootstrap_servers) as connected:
        yield connected


def test_topics_are_made_once_and_are_then_as_they_should_be(admin):
    assert len(differences(TOPICS, admin.find(TOPICS))) == len(TOPICS)
    assert admin.create(TOPICS, 1) == [topic.name for topic in TOPICS]
    assert differences(TOPICS, admin.find(TOPICS)) == []
    assert admin.create(TOPICS, 1) == []


def test_what_another_hand_has_made_is_left_and_told(admin):
    wanted = replace(TOPICS[0], name="topics-test.by-hand")
    admin.create([replace(wanted, partitions=2, config={"cleanup.policy": "compact"})], 1)
    assert admin.create([wanted], 1) == []
    found = {one.what: one.found for one in differences([wanted], admin.find([wanted])) if one.must_change}
    assert found == {"partitions": "2", "cleanup.policy": "compact", "message.timestamp.type": "CreateTime"}


def test_more_copies_than_brokers_are_told_in_words(admin):
    topic = replace(TOPICS[0], name="topics-test.copies")
    with pytest.raises(AdminError, match="cannot have 3 copies: there are fewer brokers"):
        admin.create([topic], 3)
    assert admin.find([topic]) == {}
