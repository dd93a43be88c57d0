"""`smart load` says what it cannot load before it asks for a broker."""

import pytest
from typer.testing import CliRunner

from schemas.topics import EVENT_TOPICS
from stream.cli.main import app


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "name files to load, or a topic"),
        (("a.jsonl", "--from-topic", "t"), 2, "one of the two"),
        (("--from-topic", EVENT_TOPICS[0]), 2, "read by the workers already"),
        (("--from-topic", "t", "--format", "taobao"), 2, "a topic holds native events"),
        (("a.jsonl", "--format", "xml"), 2, "--format xml: unknown"),
        (("nowhere.jsonl",), 1, "cannot read nowhere.jsonl"),
    ],
)
def test_what_cannot_be_loaded_is_told(words, code, said):
    told = CliRunner().invoke(app, ["load", *words])
    assert (told.exit_code, said in told.stderr) == (code, True), told.output
