"""A worker that could not do its work refuses to start, and says what to do."""

import pytest

from stream.transport import TopicsError, check_topics, codecs


def test_missing_topics_and_other_partition_counts_are_named():
    found = {"events.browse": 4, "events.cart": 8}
    with pytest.raises(TopicsError) as error:
        check_topics(found, {"events.browse": 8, "events.cart": 8, "events.purchase": 8})
    first, second = str(error.value).splitlines()
    assert first == "topic events.browse has 4 partitions, the settings say 8; run 'smart topics show'"
    assert second == "topic events.purchase does not exist; run 'smart topics create'"


def test_topics_that_fit_are_accepted():
    check_topics({"events.browse": 8, "other": 1}, {"events.browse": 8})


def test_every_compression_can_be_read_here():
    codecs.check_codecs()


def test_a_compression_that_cannot_be_read_is_named(monkeypatch):
    def missing(_data):
        raise RuntimeError("cramjam is not installed")

    monkeypatch.setitem(codecs.CODECS, "zstd", (missing, missing))
    with pytest.raises(codecs.CodecError, match="compressed with zstd cannot be read: install the package 'cramjam'"):
        codecs.check_codecs()
