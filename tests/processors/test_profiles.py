"""Figures by profile equal the brute force, whenever profiles come and however often they change."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.decode.fields import RefusedError
from processors.decode.profiles import decode_profile
from processors.decode.reference import Place
from processors.partition import CoreConfig
from processors.pool import PoolError
from schemas.durable import DurableError
from schemas.profile import ATTRIBUTES, ProfileRecord, pack, unpack
from schemas.scopes import Scope
from tests.core import (
    EVERYTHING,
    contents,
    dates_around,
    differences,
    fold_into,
    fold_profiles_into,
    folded,
    new_partition,
    oracle_of,
    reloaded,
    today_of,
)
from tests.events import date, encode, purchase, refund, view
from tests.streams import PROFILE_WORDS, cut, delivered, profiles_of, seeded_profiles, seeded_stream, small_streams

exact = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
KINDS = sorted(PROFILE_WORDS)


def mixed_into(partition, values, profiles, seed):
    """Events and profiles in batches, one among the other; also everything that is written on the way."""
    rng, changelog = random.Random(seed), {}
    steps = [(fold_into, batch) for batch in cut(delivered(values, seed), seed)]
    steps += [(fold_profiles_into, batch) for batch in cut(delivered(list(profiles), seed), seed)]
    rng.shuffle(steps)
    for fold, batch in steps:
        fold(partition, batch)
        changelog |= dict(partition.take_records())
    return changelog


def wrong(partition, oracle, seed, n):
    rng, scopes = random.Random(seed), ["shop=s1|group=unknown", *oracle.scopes("shop", *KINDS)]
    first, last = dates_around(oracle)
    asked = [(rng.choice(scopes), first + (last - first) * rng.random()) for _ in range(n)]
    asked += [(rng.choice(scopes), rng.choice(oracle.dates() or [first])) for _ in range(n)]
    return [text for scope, at in asked for text in differences(partition, oracle, scope, at, at)]


@exact
@given(small_streams(), profiles_of(["u1", "u2", "u3"]), st.integers(0, 2**32))
def test_figures_by_profile_are_exact_in_any_order(values, profiles, seed):
    oracle = oracle_of(values, profiles=profiles)
    partition = new_partition(today_of(oracle))
    mixed_into(partition, values, profiles, seed)
    assert wrong(partition, oracle, seed, 6) == []


@exact
@given(small_streams(), profiles_of(["u1", "u2", "u3"]), st.integers(0, 2**32))
def test_what_is_loaded_and_what_is_rebuilt_is_the_same(values, profiles, seed):
    oracle = oracle_of(values, profiles=profiles)
    today, around = today_of(oracle), dates_around(oracle)
    partition = new_partition(today)
    changelog = mixed_into(partition, values, profiles, seed)
    loaded = reloaded(changelog, today)
    assert contents(loaded, *around) == contents(partition, *around)
    assert list(loaded.take_records()) == []
    partition.rebuild(partition.today)
    assert contents(partition, *around) == contents(loaded, *around)


def test_a_long_seeded_stream_with_profiles_is_exact():
    values, profiles = seeded_stream(3, 2_000), seeded_profiles(3, 300)
    oracle = oracle_of(values, profiles=profiles)
    partition = new_partition(today_of(oracle))
    mixed_into(partition, values, profiles, 3)
    assert wrong(partition, oracle, 3, 60) == []


def test_the_crosses_of_an_attribute_add_up_to_the_shop():
    values, profiles = seeded_stream(5, 800), seeded_profiles(5, 100)
    partition = new_partition(today_of(oracle_of(values)))
    mixed_into(partition, values, profiles, 5)
    first, last = partition.last_day - 400, partition.last_day
    for kind, known in ATTRIBUTES.items():
        for shop in ("s1", "s4"):
            parts = [Scope(shop, kind, value) for value in known]
            assert (
                sum(partition.counts(part, first, last) for part in parts) == partition.counts(Scope(shop), first, last)
            ).all()
            for currency in partition.currencies(Scope(shop)):
                money = sum(partition.money(part, currency, first, last) for part in parts)
                assert (money == partition.money(Scope(shop), currency, first, last)).all()


def test_a_deleted_profile_leaves_its_user_unknown_and_any_later_one_counts():
    partition = folded([[encode(view("u"))]], date(0))
    record = encode({"user_id": "u", "updated_at": 5, "group": "g1"})
    older = encode({"user_id": "u", "updated_at": 1, "group": "g2"})
    day = partition.last_day

    def of(group):
        return int(partition.counts(Scope("s1", "group", group), day, day)[0, 0, 0])

    changelog = {}
    for told, groups in ((record, (1, 0, 0)), (older, (1, 0, 0)), (None, (0, 0, 1)), (older, (0, 1, 0))):
        partition.fold_profiles([decode_profile(told, b"u")])
        assert (of("g1"), of("g2"), of("unknown")) == groups
        changelog |= dict(partition.take_records())
        loaded = reloaded({k: v for k, v in changelog.items() if v is not None}, date(0))
        assert contents(loaded, date(0), date(400)) == contents(partition, date(0), date(400))


def test_a_profile_waits_for_its_user():
    partition = new_partition(date(0))
    fold_profiles_into(partition, [encode({"user_id": "u", "updated_at": 1, "power": "L3"})])
    changelog = dict(partition.take_records())
    for one in (partition, reloaded(changelog, date(0))):
        fold_into(one, [encode(made) for made in (view("u"), purchase("u"), refund("u"), purchase("v", order="o2"))])
        assert one.counts(Scope("s1", "power", "L3"), one.last_day, one.last_day)[0, :, 0].tolist() == [
            1,
            0,
            0,
            0,
            0,
            0,
        ]
        assert one.counts(Scope("s1", "power", "unknown"), one.last_day, one.last_day)[0, :3, 0].tolist() == [1, 0, 1]


def test_a_deployment_without_crosses_by_profile_keeps_profiles_all_the_same():
    partition = new_partition(date(0), CoreConfig(**{**EVERYTHING.__dict__, "scopes": frozenset({"shop"})}))
    fold_into(partition, [encode(view("u"))])
    fold_profiles_into(partition, [encode({"user_id": "u", "updated_at": 1, "power": "L3"})])
    assert [scope.name for scope, _ in partition.scopes()] == ["shop=s1"]
    assert any(key == b"Uu" for key, _ in partition.take_records())


def test_users_with_a_ledger_and_a_profile_are_counted_once_against_the_bound():
    config = CoreConfig(**{**EVERYTHING.__dict__, "max_users": 10})
    partition, users = new_partition(date(0), config), [f"u{n}" for n in range(9)]
    fold_into(partition, [encode(view(users[0]))])
    for user in users[1:]:
        fold_into(partition, [encode(view(user))])
    for user in users:
        fold_profiles_into(partition, [encode({"user_id": user, "updated_at": 1, "gender": "f"})])
    partition.fold_profiles([decode_profile(None, b"nobody%d" % n) for n in range(20)])
    loaded = reloaded(dict(partition.take_records()), date(0), config)
    assert contents(loaded, date(0), date(9)) == contents(partition, date(0), date(9))
    fold_profiles_into(loaded, [encode({"user_id": "v", "updated_at": 1})])
    with pytest.raises(PoolError, match="SMART_MAX_USERS"):
        fold_profiles_into(loaded, [encode({"user_id": "w", "updated_at": 1})])


@pytest.mark.parametrize("key", [b"", b"\x00", b"\xff", b"u" * 129])
def test_a_tombstone_of_what_is_no_user_is_refused(key):
    with pytest.raises(RefusedError):
        decode_profile(None, key)


def test_a_damaged_profile_is_told():
    partition = new_partition(date(0))
    fold_profiles_into(partition, [encode({"user_id": "u", "updated_at": 1})])
    ((key, value),) = partition.take_records()
    with pytest.raises(DurableError, match="wrong checksum"):
        new_partition(date(0)).load([key], [value[:-1] + bytes([value[-1] ^ 1])])
    with pytest.raises(DurableError, match="version 9"):
        new_partition(date(0)).load([key], [b"\x09" + value[1:]])


GOOD = {"user_id": "u", "updated_at": "2026-03-01T00:00:00Z", "group": "g3", "age": None, "membership": ["vip"]}


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"user_id": None}, ("missing_field", "user_id")),
        ({"user_id": 7}, ("bad_type", "user_id")),
        ({"user_id": "\u0000"}, ("bad_id", "user_id")),
        ({"updated_at": None}, ("missing_field", "updated_at")),
        ({"updated_at": "yesterday"}, ("bad_time", "updated_at")),
        ({"updated_at": True}, ("bad_type", "updated_at")),
        ({"group": "g17"}, ("unknown_value", "group")),
        ({"power": 3}, ("bad_type", "power")),
        ({"age": "24-35"}, ("unknown_value", "age")),
        ({"gender": "x"}, ("unknown_value", "gender")),
        ({"region": ""}, ("bad_id", "region")),
        ({"membership": "vip"}, ("bad_type", "membership")),
        ({"membership": [None]}, ("bad_type", "membership")),
        ({"identifiers": {"email": ""}}, ("bad_id", "identifiers")),
        ({"consent": {"dmp": "yes"}}, ("bad_type", "consent")),
        ({"user_id": "v"}, ("key_mismatch", "user_id")),
    ],
)
def test_a_bad_profile_is_refused_with_its_field(change, refusal):
    with pytest.raises(RefusedError) as refused:
        decode_profile(encode(GOOD | change), b"u", Place(0, 1))
    assert (refused.value.code.value, refused.value.field) == refusal


@pytest.mark.parametrize("value", [b"", b"[]", b"{", b"{}}", b"\xff"])
def test_what_is_no_json_object_is_refused(value):
    with pytest.raises(RefusedError) as refused:
        decode_profile(value, b"u")
    assert refused.value.code.value == "not_json"


def test_a_profile_in_another_partition_is_refused():
    for value in (encode(GOOD), None):
        with pytest.raises(RefusedError) as refused:
            decode_profile(value, b"u", Place(9, 10))
        assert refused.value.code.value == "wrong_partition"


def test_a_profile_is_read_as_it_was_written():
    made = ProfileRecord(user_id="u", updated_at=5, group="g9", gender="m", consent={"dmp": True})
    read = decode_profile(made.encode(), made.key())
    assert (read.user_id, read.updated_ms, read.raw) == (b"u", 5, made.encode())
    assert unpack(read.code) == {"group": "g9", "power": "unknown", "age": "unknown", "gender": "m"}
    assert read.code == pack({"group": "g9", "gender": "m"})
