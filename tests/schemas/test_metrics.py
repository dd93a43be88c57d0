"""Declared metrics keep to the conventions of their field."""

import re
from collections import Counter

import pytest

from schemas.metrics import METRICS

each_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)


def test_names_are_unique():
    assert [name for name, times in Counter(metric.name for metric in METRICS).items() if times > 1] == []


@each_metric
def test_a_name_has_the_prefix_and_plain_words(metric):
    assert re.fullmatch(r"smart(_[a-z]+)+", metric.name)


@each_metric
def test_a_name_ends_in_its_unit_or_total(metric):
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    if metric.unit in {"seconds", "bytes"}:
        assert metric.name.removesuffix("_total").endswith(f"_{metric.unit}")
    assert not re.search(r"_(ms|millis|us|ns|kb|mb|percent|ratio_percent)(_|$)", metric.name)


@each_metric
def test_labels_are_bounded_by_the_deployment(metric):
    assert set(metric.labels) <= {"topic", "partition", "code", "kind", "stage", "place"}


@each_metric
def test_only_histograms_have_buckets_and_those_ascend(metric):
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))


@each_metric
def test_its_meaning_is_one_sentence(metric):
    assert metric.help.endswith(".")
    assert metric.help[0].isupper()
    assert metric.unit
