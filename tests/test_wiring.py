"""What is declared is used: a setting that nobody reads and a metric that nobody counts would be lies."""

import re
from pathlib import Path

import pytest

from schemas import metrics
from schemas.settings import Settings

ROOT = Path(__file__).parents[1]
SHELL = "\n".join(
    path.read_text(encoding="utf-8") for folder in ("stream", "serving") for path in (ROOT / folder).rglob("*.py")
)
METRIC_NAMES = [name for name, value in vars(metrics).items() if isinstance(value, metrics.Metric)]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_read_somewhere(name):
    assert re.search(rf"\.{name}\b", SHELL), f"nothing reads {name}: wire it or remove it"


@pytest.mark.parametrize("name", METRIC_NAMES)
def test_every_metric_is_counted_somewhere(name):
    assert re.search(rf"\b{name}\b", SHELL), f"nothing counts {name}: wire it or remove it"
