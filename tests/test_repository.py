"""The repository stands on its own: nothing of a machine in it, everything locked, everything documented."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = ("runtime", "dev", "uv", "data")
KNOWN_HOSTS = {
    "127.0.0.1",
    "localhost",
    "www.apache.org",  # the licence
    "www.w3.org",  # names the namespace of SVG
    "json-schema.org",  # names the dialect of generated schemas
}


def tracked():
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def texts():
    for path in tracked():
        try:
            yield path.relative_to(ROOT), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def requirements(lock):
    """Name → (version, hashes) of every package of a lock."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            name, version = re.match(r"([a-z0-9._-]+)==(\S+)", line).groups()
            found[name] = (version, re.findall(r"--hash=sha256:[0-9a-f]{64}", line))
    return found


def test_no_file_names_a_host_that_is_not_known():
    hosts = {
        (str(path), host) for path, text in texts() for host in re.findall(r"https?://([a-z0-9.-]*[a-z0-9])", text)
    }
    assert {(path, host) for path, host in hosts if host not in KNOWN_HOSTS} == set()


def test_no_file_names_a_path_of_one_machine():
    paths = re.compile(r"(?<![\w.}])/(?:work|root|Users)/\w")
    assert [str(path) for path, text in texts() if paths.search(text)] == []


def test_no_file_is_large():
    assert [str(path.relative_to(ROOT)) for path in tracked() if path.stat().st_size > 400_000] == []


def test_nothing_ignored_is_tracked():
    ignored = subprocess.run(
        ["git", "ls-files", "-ci", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    assert ignored.stdout == b""


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_a_version_and_hashes(lock):
    packages = requirements(lock)
    assert packages
    assert [name for name, (_version, hashes) in packages.items() if not hashes] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_index(lock):
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    assert not re.search(r"https?:|--(extra-)?index|--find-links|--trusted", text)


def test_the_locks_agree():
    runtime, dev = requirements("runtime"), requirements("dev")
    assert {name: version for name, (version, _) in runtime.items()}.items() <= {
        name: version for name, (version, _) in dev.items()
    }.items()


def test_every_dependency_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = {"runtime": project["dependencies"] + extras["build"], "dev": extras["dev"]}
    for lock, wanted in asked.items():
        names = {re.match(r"[A-Za-z0-9-]+", requirement)[0].lower() for requirement in wanted}
        assert names - set(requirements(lock)) == set()


def test_generated_pages_are_those_of_the_code():
    from docs.generate import FOLDER, pages

    for name, text in pages().items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, f"{name} is out of date: run 'make docs'"


def test_links_between_pages_lead_somewhere():
    for path, text in texts():
        if path.suffix == ".md":
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
                assert target.startswith("http") or (ROOT / path.parent / target).exists(), f"{path}: {target}"


def test_make_tells_its_targets():
    result = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert {"setup", "demo", "test", "lint", "bench", "clean"} <= {
        line.split()[0] for line in result.stdout.splitlines()
    }


def test_python_is_as_new_as_the_project_asks():
    assert sys.version_info >= (3, 11)
