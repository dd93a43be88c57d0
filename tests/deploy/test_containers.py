"""What runs in containers is complete, pinned, checked for health, and closed to the outside."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from schemas.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
PROMETHEUS = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")
SERVICES = COMPOSE["services"]
LASTING = [name for name, service in SERVICES.items() if service.get("restart") != "no"]
PINNED = re.compile(r".+:v?\d+\.\d+\.\d+(-[a-z]+)*")

each_service = pytest.mark.parametrize("name", SERVICES)


def run(*command):
    return subprocess.run(
        [ROOT / ".venv/bin" / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "command",
    [
        ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"),
        ("hadolint", "deploy/Dockerfile"),
        ("yamllint", "--strict", "docker-compose.yml", "deploy"),
    ],
    ids=lambda command: command[0],
)
def test_files_are_valid(command):
    result = run(*command)
    assert result.returncode == 0, result.stdout + result.stderr


def test_all_parts_are_there():
    assert set(SERVICES) == {"kafka", "valkey", "topics", "worker", "prometheus"}
    assert SERVICES["worker"]["deploy"]["replicas"] == 2


@each_service
def test_images_are_pinned(name):
    assert PINNED.fullmatch(SERVICES[name]["image"])


def test_base_images_are_pinned():
    images = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert images
    assert all(PINNED.fullmatch(image) for image in images)


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_has_a_health_check_and_comes_back(name):
    assert SERVICES[name]["healthcheck"]["test"]
    assert SERVICES[name]["restart"] == "unless-stopped"


@each_service
def test_ports_are_bound_to_loopback(name):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@each_service
def test_variables_of_ours_are_settings_with_valid_values(name, monkeypatch):
    ours = {key: value for key, value in SERVICES[name].get("environment", {}).items() if key.startswith(PREFIX)}
    assert {key.removeprefix(PREFIX).lower() for key in ours} <= set(Settings.model_fields)
    for key, value in ours.items():
        monkeypatch.setenv(key, value)
    Settings()


def test_variables_of_the_image_are_settings():
    names = re.findall(rf"\b{PREFIX}([A-Z_]+)=", DOCKERFILE)
    assert names
    assert {name.lower() for name in names} <= set(Settings.model_fields)


@each_service
def test_it_waits_for_what_it_needs_to_be_healthy(name):
    needed = SERVICES[name].get("depends_on", {})
    assert set(needed) <= set(SERVICES)
    if isinstance(needed, dict):
        for other, how in needed.items():
            assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[other]


@each_service
def test_its_volumes_exist(name):
    for volume in SERVICES[name].get("volumes", []):
        source = volume.split(":")[0]
        assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


def test_the_image_runs_as_nobody_in_particular_and_copies_only_what_exists():
    assert re.search(r"^USER [1-9]\d+$", DOCKERFILE, re.MULTILINE)
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert all((ROOT / source).exists() for line in copied for source in line.split())


def test_prometheus_scrapes_the_port_that_workers_serve():
    (job,) = PROMETHEUS["scrape_configs"]
    (found,) = job["dns_sd_configs"]
    assert set(found["names"]) <= set(SERVICES)
    assert str(found["port"]) == SERVICES["worker"]["environment"]["SMART_METRICS_PORT"]
