"""Do the topics of the cluster fit the settings? A user must lie in the same partition number of every topic."""

from collections.abc import Mapping


class TopicsError(RuntimeError):
    """Topics are missing or have another number of partitions than the settings say."""


def check_topics(found: Mapping[str, int], expected: Mapping[str, int]) -> None:
    """Compare partition counts by topic name; raise `TopicsError` with a line for each topic that does not fit.

    found: the cluster's metadata, topic → partitions. expected: the settings, topic → partitions.
    """
    lines = []
    for topic, partitions in sorted(expected.items()):
        there = found.get(topic)
        if there is None:
            lines.append(f"topic {topic} does not exist; run 'smart topics create'")
        elif there != partitions:
            lines.append(
                f"topic {topic} has {there} partitions, the settings say {partitions}; run 'smart topics show'"
            )
    if lines:
        raise TopicsError("\n".join(lines))
