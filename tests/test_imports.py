"""The layers hold: what is said, what is true, what moves and what is shown import only downwards."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_import_contracts_are_kept():
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


def test_every_package_says_what_lives_there_and_what_it_may_import():
    for package in ("schemas", "processors", "serving", "stream", "stream/cli"):
        text = (ROOT / package / "__init__.py").read_text(encoding="utf-8")
        docstring = text.split('"""')[1].strip()
        assert "import" in docstring, package
        assert len(docstring.splitlines()) <= 8, package
