"""Profiles of the made-up users: who they are stays the same over a world's life. Some have none."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from schemas.profile import AGES, GENDERS, GROUPS, POWERS
from stream.simulate.draws import generator
from stream.simulate.timeline import Scenario

_PURPOSE_PROFILES: Final = 5
_AT_A_TIME: Final = 10_000
_WITH_PROFILE: Final = 0.9
_TEMPLATE: Final = b'{"user_id":"%b","updated_at":%d,"group":"%b","power":"%b","age":"%b","gender":"%b"}'


def profile_records(scenario: Scenario) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """(keys, values) of the records, some at a time; updated at the scenario's start."""
    rng = generator(scenario.seed, _PURPOSE_PROFILES)
    groups, powers, ages, genders = ([value.encode() for value in known] for known in (GROUPS, POWERS, AGES, GENDERS))
    for first in range(0, scenario.users, _AT_A_TIME):
        users = np.arange(first, min(first + _AT_A_TIME, scenario.users))
        users = users[rng.random(len(users)) < _WITH_PROFILE]
        n = len(users)
        gender = rng.integers(1, len(GENDERS), n)
        age = rng.choice(np.arange(1, len(AGES)), n, p=(0.02, 0.2, 0.25, 0.2, 0.18, 0.1, 0.05))
        is_parent = (age >= 4) & (age <= 5) & (rng.random(n) < 0.4)
        life = np.where(age <= 2, 0, np.where(is_parent, 2, np.where(age <= 4, 1, 3)))
        group = 4 * life + 2 * rng.integers(0, 2, n) + gender
        power = rng.choice(np.arange(1, len(POWERS)), n, p=(0.2, 0.3, 0.25, 0.15, 0.1))
        keys = [b"u%06d" % user for user in users.tolist()]
        columns = (column.tolist() for column in (group, power, age, gender))
        values = [
            _TEMPLATE % (key, scenario.start_ms, groups[g], powers[p], ages[a], genders[s])
            for key, (g, p, a, s) in zip(keys, zip(*columns, strict=True), strict=True)
        ]
        yield keys, values
