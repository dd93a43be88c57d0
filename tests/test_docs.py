"""What the pages name is there: links, files, commands, settings, metrics, topics; what they show is what comes out."""

import datetime as dt
import json
import re
import shlex
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from processors.backtest import Backtest, Question
from processors.decode.items import decode_item
from processors.decode.profiles import decode_profile
from processors.decode.reference import decode_record
from schemas.control import decode_shop
from schemas.factors import decode_record as decode_factors
from schemas.metrics import METRICS
from schemas.refusals import Code
from schemas.restatements import decode_restatement
from schemas.scopes import parse
from schemas.settings import PREFIX, Settings
from schemas.topics import registry
from stream.cli.main import COMMANDS, load
from stream.transport.exits import ExitCode

ROOT = Path(__file__).parents[1]
FRONT = ROOT / "README.md"
INDEX = ROOT / "docs" / "README.md"
GENERATED = ROOT / "docs" / "reference"
WRITTEN = sorted({FRONT, *(page for page in (ROOT / "docs").rglob("*.md") if GENERATED not in page.parents)})
PAGES = [*WRITTEN, *sorted(GENERATED.glob("*.md"))]
FOLDERS = ("schemas", "processors", "stream", "serving", "tests", "bench", "deploy", "docs")

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
METRIC = re.compile(r"\bsmart_[a-z_]+")
VARIABLE = re.compile(r"\bSMART_[A-Z_]+\b")

written = pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def text_of(page):
    return page.read_text(encoding="utf-8")


def anchor(title):
    """The fragment by which a heading can be linked to, as code hosts make it."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


@cache
def anchors(page):
    prose = FENCE.sub("", text_of(page))
    return {anchor(title) for title in re.findall(r"^#+ (.+)$", prose, re.MULTILINE)}


def links(page):
    """(path that is linked to, fragment) of every relative link."""
    for target in LINK.findall(FENCE.sub("", text_of(page))):
        if not re.match(r"[a-z]+:", target):
            path, _, fragment = target.partition("#")
            yield (page.parent / path).resolve() if path else page, fragment


def code_of(page):
    """Everything that stands as code: spans, indented lines and fenced lines."""
    text = text_of(page)
    yield from (span.replace("\\|", "|") for span in SPAN.findall(FENCE.sub("", text)))
    yield from (line[4:] for line in text.splitlines() if line.startswith("    "))
    for _, body in FENCE.findall(text):
        yield from body.splitlines()


@every_page
def test_every_link_leads_somewhere(page):
    for path, fragment in links(page):
        assert path.exists(), f"{path} does not exist"
        if fragment:
            assert fragment in anchors(path), f"{path.name} has no heading #{fragment}"


def test_every_page_is_reached_from_the_index():
    reached, waiting = set(), [FRONT]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            waiting += [path for path, _ in links(page) if path.is_file()]
    assert {page for page in PAGES if page not in reached} == set()
    assert {path for path, _ in links(INDEX)} >= set(PAGES) - {INDEX}


@every_page
def test_every_file_named_is_there(page):
    for code in code_of(page):
        for name in re.findall(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})/[\w./-]*", code):
            assert (ROOT / name.rstrip(".")).exists(), f"{name} does not exist"


def test_docstrings_name_pages_that_are_there():
    for folder in FOLDERS:
        for module in (ROOT / folder).rglob("*.py"):
            for name in re.findall(r"docs/[\w/]+\.\w+", text_of(module)):
                assert (ROOT / name).exists(), f"{module.relative_to(ROOT)} names {name}"


@every_page
def test_every_variable_is_a_setting(page):
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    assert set(VARIABLE.findall(text_of(page))) - known == set()


@every_page
def test_every_metric_is_declared(page):
    known = {metric.name for metric in METRICS}
    assert set(METRIC.findall(text_of(page))) - known == set()


def command_lines(page):
    """The words after `smart` of every command that is written out, comments cut off."""
    for code in code_of(page):
        found = re.match(r"(?:[A-Z_]+=\S+ +)*(?:\S*/)?smart +([a-z].*)", code)
        if found and not re.search(r"^\w+:", found[1]):
            yield shlex.split(found[1].replace("…", ""), comments=True)


@written
def test_every_command_and_option_exists(page):
    for words in command_lines(page):
        name, *rest = words
        assert name in COMMANDS, f"smart {name}"
        if find_spec(f"stream.cli.{name}") is None:
            continue
        command = load(name)
        subcommands = getattr(command, "commands", {})
        if subcommands and rest:
            assert rest[0] in subcommands, f"smart {name} {rest[0]}"
            command = subcommands[rest[0]]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word.partition("=")[0] for word in rest if word.startswith("--")} - known - {"--help"} == set()


@written
def test_examples_in_json_are_what_they_say(page):
    for language, body in FENCE.findall(text_of(page)):
        if language != "json":
            continue
        example = json.loads(body)
        if "action" in example:
            decode_record(body.encode())
        elif example.get("kind") == "factors":
            decode_factors(body.encode())
        elif "listed_on" in example:
            decode_item(body.encode(), example["item_id"].encode())
        elif "updated_at" in example:
            decode_profile(body.encode(), example["user_id"].encode())
        elif example.get("kind") == "restatement":
            decode_restatement(body.encode())
        else:
            decode_shop(body.encode())


@pytest.mark.parametrize("page", [FRONT, ROOT / "docs/concepts/factors.md"], ids=lambda page: page.name)
def test_the_example_comes_out_as_it_is_shown(page):
    run = Backtest(Question(as_of=(dt.date(2026, 11, 11),), windows=(7,), scopes=(parse("shop=s1"),)))
    assert run.feed((ROOT / "docs/examples/events.jsonl").read_bytes().splitlines()) == []
    shown = [json.loads(body) for language, body in FENCE.findall(text_of(page)) if language == "json"]
    (record,) = run.records()
    assert json.loads(record.encode()) in shown


def test_every_refusal_code_is_told():
    assert {code.value for code in Code} - set(SPAN.findall(text_of(ROOT / "docs/concepts/events.md"))) == set()


def test_every_topic_is_told():
    told = text_of(ROOT / "docs/operation/deploy.md")
    names = {topic.name for topic in registry(partitions=8, application_id="smart-stream")}
    assert {name for name in names if f"`{name}`" not in told} == set()


def test_every_exit_code_is_told():
    told = text_of(ROOT / "docs/operation/runbook.md")
    assert {code for code in ExitCode if f"| {int(code)} | {code.name} |" not in told} == set()


def test_a_picture_refers_to_nothing_outside_of_it():
    from docs.picture import svg

    for drawn in [svg("a view", "a title"), *(text_of(picture) for picture in (ROOT / "docs").rglob("*.svg"))]:
        assert ET.fromstring(drawn).tag.endswith("}svg")
        plain = re.sub(r'xmlns="[^"]*"', "", drawn)  # the name of the form, which nobody fetches
        assert re.findall(r"https?:|@import|href|url\((?!#)", plain) == []


def test_no_page_is_longer_than_three_screens():
    assert [page.name for page in WRITTEN if len(text_of(page).splitlines()) > 180] == []
