"""A scope has one name and a name one scope."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.scopes import MARKET_KINDS, SHOP_KINDS, Scope, ScopeError, decode_value, parse

values = st.text(min_size=1, max_size=8) | st.sampled_from(["%", "a|b=c/d", "%7C", "organic/search", "_other"])
scopes = st.one_of(
    st.builds(Scope, values, st.just(""), st.just("")),
    st.builds(Scope, values, st.sampled_from(SHOP_KINDS[1:]), values),
    st.just(Scope()),
    st.builds(Scope, st.none(), st.sampled_from(MARKET_KINDS[1:]), values),
)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(scopes)
def test_every_scope_is_read_back_from_its_name(scope):
    assert parse(scope.name) == scope


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("shop=s1", Scope("s1")),
        ("shop=s1|category=c1", Scope("s1", "category", "c1")),
        ("shop=s1|channel=organic/search", Scope("s1", "channel", "organic/search")),
        ("shop=s1|group=g7", Scope("s1", "group", "g7")),
        ("shop=s1|age=24-35", Scope("s1", "age", "24-35")),
        ("shop=a%7Cb|item=c%2Fd", Scope("a|b", "item", "c/d")),
        ("brand=b1", Scope(None, "brand", "b1")),
        ("market", Scope()),
        ("market|category=c1", Scope(None, "category", "c1")),
    ],
)
def test_the_contracts_names_are_the_names(name, scope):
    assert parse(name) == scope
    assert scope.name == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "shop",
        "shop=",
        "shop=s1|",
        "shop=s1|category",
        "shop=s1|category=",
        "shop=s1|colour=red",
        "shop=s1|category=c|item=i",
        "shop=s=1",
        "market|item=i1",
        "market|brand=b1",
        "market=1",
        "brand=b1|category=c1",
        "category=c1",
    ],
)
def test_any_other_text_is_told_what_a_scope_looks_like(text):
    with pytest.raises(ScopeError, match="shop=ID"):
        parse(text)


@pytest.mark.parametrize("text", ["%", "%4", "%41", "a%zz"])
def test_only_the_four_escapes_are_escapes(text):
    with pytest.raises(ScopeError, match="escape"):
        decode_value(text)
