"""Logs are one line an event, of our loggers and of everybody else's, and name no person."""

import io
import json
import logging

import pytest
import structlog

from stream import logs


@pytest.fixture
def written():
    """A stream to log into; logging is as it was afterwards."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield io.StringIO()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_its_fields_level_logger_and_instant(written):
    logs.configure("info", "json", written)
    structlog.get_logger("stream.app").info("took over", partition=3)
    (line,) = lines(written)
    assert (line["event"], line["partition"], line["level"], line["logger"]) == ("took over", 3, "info", "stream.app")
    assert line["at"].endswith("Z")


def test_lines_of_libraries_have_the_same_form(written, monkeypatch):
    monkeypatch.setattr(logging.getLogger("aiokafka"), "propagate", True)  # a command run here may have quieted it
    logs.configure("info", "json", written)
    logging.getLogger("aiokafka.cluster").warning("lost %s", "broker 1")
    assert [(line["event"], line["logger"]) for line in lines(written)] == [("lost broker 1", "aiokafka.cluster")]


def test_an_exception_is_one_line(written):
    logs.configure("info", "json", written)
    try:
        {}["x"]
    except KeyError:
        structlog.get_logger("stream.app").exception("cannot go on", offset=7)
    (line,) = lines(written)
    assert line["offset"] == 7
    assert "KeyError" in line["exception"]


def test_nothing_that_names_a_person_is_written(written):
    logs.configure("info", "json", written)
    structlog.get_logger("stream.app").warning("refused", user_id="u-4711", value=b"u-4711", code="bad_id")
    assert "4711" not in written.getvalue()
    assert lines(written)[0]["code"] == "bad_id"


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_only_lines_of_the_level_asked_for_are_written(written, level):
    logs.configure(level, "json", written)
    log = structlog.get_logger("stream.app")
    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)(name)
    everything = ["debug", "info", "warning", "error"]
    assert [line["event"] for line in lines(written)] == everything[everything.index(level) :]


def test_libraries_are_never_at_debug(written):
    logs.configure("debug", "json", written)
    logging.getLogger("aiokafka.fetcher").debug("polled")
    assert written.getvalue() == ""


def test_people_get_plain_text(written):
    logs.configure("info", "console", written)
    structlog.get_logger("stream.app").info("took over", partition=3)
    assert "took over" in written.getvalue()
    assert "partition=3" in written.getvalue()
    assert "\x1b" not in written.getvalue()
