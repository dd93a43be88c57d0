"""The supervised programs: restarted with patience, stopped in order, and never left behind."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from supervisor.states import ProcessStates

from stream.local.children import Children
from stream.local.folder import DataFolder
from stream.local.programs import Program
from stream.local.supervise import _Program
from tests.stack.processes import eventually, lives

SLEEP = ["sleep", "1000"]


@pytest.fixture
def folder(tmp_path):
    folder = DataFolder(tmp_path / ("a rather long name, 100% with spaces; " * 5))
    folder.open(fresh=False)
    yield folder
    folder.close()


@pytest.fixture
def children(folder):
    with Children(folder) as running:
        yield running


def says_when_it_stops(name, path, seconds=0.0):
    script = f"trap 'sleep {seconds}; echo {name} >> {path}; exit 0' TERM; while :; do sleep 0.02; done"
    return ["sh", "-c", script]


def test_the_pause_before_the_next_start_doubles_up_to_half_a_minute():
    program = _Program(config=None)
    waits = []
    for _ in range(8):
        program.state = ProcessStates.STARTING
        asked_at = time.time()
        program.change_state(ProcessStates.BACKOFF)
        assert program.delay - asked_at == pytest.approx(program.backoff, abs=0.1)
        waits.append(program.backoff)
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_program_that_ends_is_started_again(children, tmp_path):
    starts = tmp_path / "starts"
    children.add(Program("brief", ["sh", "-c", f"echo x >> {starts}; exit 1"], tmp_path))
    assert eventually(lambda: starts.exists() and len(starts.read_text(encoding="ascii").split()) == 2, 5)
    assert eventually(lambda: children.state("brief").has_failed, 2)
    assert children.state("brief").note


def test_a_killed_program_comes_back_unless_it_shall_stay_down(children, tmp_path):
    children.add(Program("sleeper", SLEEP, tmp_path))
    first = children.state("sleeper").pid
    children.kill("sleeper")
    assert not lives(first)
    children.wait_ready("sleeper", 5)
    assert children.state("sleeper").pid != first
    second = children.state("sleeper").pid
    children.kill("sleeper", stay_down=True)
    time.sleep(1.2)
    assert not lives(second)
    assert not children.state("sleeper").is_alive
    children.start_again("sleeper")
    assert children.state("sleeper").is_alive


def test_a_program_killed_to_stay_down_never_hears_a_polite_signal(children, tmp_path):
    said = tmp_path / "said"
    children.add(Program("polite", says_when_it_stops("polite", said), tmp_path))
    time.sleep(0.2)
    children.kill("polite", stay_down=True)
    assert not said.exists()


def test_a_paused_program_can_be_stopped_at_once(children, tmp_path):
    children.add(Program("sleeper", SLEEP, tmp_path))
    children.pause("sleeper")
    before = time.monotonic()
    children.stop_one("sleeper")
    assert time.monotonic() - before < 3


def test_programs_stop_in_the_reverse_of_their_order(folder, tmp_path):
    said = tmp_path / "said"
    with Children(folder) as children:
        for name, order, seconds in (("broker", 10, 0), ("store", 20, 0.1), ("worker", 900, 0.2)):
            children.add(Program(name, says_when_it_stops(name, said, seconds), tmp_path, order))
        time.sleep(0.3)
    assert said.read_text(encoding="ascii").split() == ["worker", "store", "broker"]


def test_programs_stop_in_order_even_if_nobody_is_left_to_ask_for_it(folder, tmp_path):
    said = tmp_path / "said"
    children = Children(folder)
    children.start()
    for name, order, seconds in (("broker", 10, 0), ("worker", 900, 0.2)):
        children.add(Program(name, says_when_it_stops(name, said, seconds), tmp_path, order))
    time.sleep(0.3)
    children._process.stdin.close()  # what the kernel does when the launcher is killed
    children._process.wait(10)
    assert said.read_text(encoding="ascii").split() == ["worker", "broker"]
    children.stop()


def test_a_killed_supervisor_takes_its_programs_with_it(folder, tmp_path):
    children = Children(folder)
    children.start()
    children.add(Program("sleeper", SLEEP, tmp_path))
    assert eventually(lambda: Path(f"/proc/{children.state('sleeper').pid}/comm").read_text().strip() == "sleep", 5)
    pid = children.state("sleeper").pid
    os.kill(children.supervisor_pid, signal.SIGKILL)
    assert eventually(lambda: not lives(pid), 5)
    children.stop()


def test_a_program_gets_its_words_and_its_environment_unchanged(children, tmp_path):
    words = ["a b", "50%", "\"quoted\"; 'so'", "$HOME", "ünï", ""]
    script = 'import json,os,sys; print(json.dumps([sys.argv[1:], os.environ["ODD"]]), flush=True)'
    children.add(Program("echo", ["python3", "-c", script, *words], tmp_path, env={"ODD": 'x="y", %z; #'}))
    assert eventually(lambda: "]" in children.log_since_start("echo"), 5)
    assert json.loads(children.log_since_start("echo").splitlines()[0]) == [words, 'x="y", %z; #']
