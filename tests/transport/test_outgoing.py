"""What a committer collects becomes one group a destination; what a failed transaction means is told from its error."""

import logging

from aiokafka.errors import InvalidProducerEpoch, KafkaError, ProducerFenced

from stream.transport import Bulk, Outgoing
from stream.transport.producer import TransactionError, _by_destination, is_fenced
from stream.transport.reconnect import SayOnce


def test_records_of_one_destination_stay_in_the_order_in_which_they_were_collected():
    rich = Outgoing("log", 1, b"c", b"3", [("field", b"user_id")], 5)
    groups = _by_destination([
        Bulk("log", 1, [(b"a", b"1"), (b"b", None)]), ("pages", 0, [(b"p", b"9")]), rich, ("log", 1, [(b"a", b"4")]),
    ])  # fmt: skip
    assert groups == {("log", 1): [(b"a", b"1"), (b"b", None), rich, (b"a", b"4")], ("pages", 0): [(b"p", b"9")]}


def test_nothing_collected_is_no_transaction():
    assert _by_destination([]) == _by_destination([Bulk("log", 1, []), ("pages", 0, ())]) == {}


def test_a_fenced_producer_is_known_by_what_caused_the_error():
    def caused_by(cause):
        error = TransactionError("the producer's sender has ended")
        error.__cause__ = cause
        return error

    assert is_fenced(ProducerFenced())
    assert is_fenced(caused_by(InvalidProducerEpoch()))
    assert not is_fenced(caused_by(KafkaError()))
    assert not is_fenced(None)


def test_an_outage_is_logged_once_not_thirty_times_a_second():
    def news(text, *args):
        return said.filter(logging.LogRecord("aiokafka", logging.ERROR, "", 0, text, args, None))

    said = SayOnce()
    assert news("Unable connect to node with id %s", 1)
    assert not news("Unable connect to node with id %s", 2)
    assert news("Marking the coordinator dead")
