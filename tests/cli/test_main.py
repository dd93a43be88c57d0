"""`smart` finds its commands, is quick to help, and fails in one line."""

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from schemas.errors import SmartError, UsageError
from stream.cli import main

SLOW_TO_IMPORT = {"aiokafka", "faust", "kafka", "numba", "numpy", "pydantic", "redis", "rich", "structlog"}


def smart(*args):
    return CliRunner().invoke(main.app, args)


def test_help_lists_every_command():
    result = smart("--help")
    assert result.exit_code == 0
    for name, summary in main.COMMANDS.items():
        assert f"  {name}" in result.stdout
        assert summary in result.stdout, "a summary that does not fit in its line is cut"


def test_help_imports_nothing_that_is_slow():
    program = "import sys, stream.cli.main as m; m.app(['--help'], standalone_mode=False); print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert SLOW_TO_IMPORT & set(result.stdout.splitlines()[-1].split()) == set()


def test_a_misspelt_command_is_wrong_use_and_told_with_the_one_that_was_meant():
    result = smart("verfy")
    assert result.exit_code == 2
    assert "Did you mean 'verify'?" in result.stderr


def test_no_command_at_all_prints_the_help():
    result = smart()
    assert result.exit_code == 2
    assert "Commands:" in result.stdout + result.stderr


def test_a_module_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setitem(main.COMMANDS, "verify", "")
    monkeypatch.setattr(main, "import_module", _missing)
    result = smart("verify")
    assert result.exit_code == 1
    assert result.stderr.startswith("smart: 'smart verify' is not part of this build")


def _missing(name):
    raise ModuleNotFoundError(name=name)


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [(SmartError("the broker does not answer"), 1), (UsageError("no scope is named moon"), 2)],
)
def test_an_error_that_speaks_to_a_person_is_one_line_and_an_exit_code(monkeypatch, error, exit_code):
    module = type(main)("stream.cli.verify")
    module.app = typer.Typer()

    @module.app.command()
    def verify():
        raise error

    monkeypatch.setattr(main, "import_module", lambda _name: module)
    result = smart("verify")
    assert result.exit_code == exit_code
    assert result.stderr == f"smart: {error}\n"


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_has_help(name):
    result = smart(name, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: smart {name}")


def test_the_console_script_is_this_app():
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlib.metadata import entry_points as e; print(e(name='smart')['smart'].value)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "stream.cli.main:app"
