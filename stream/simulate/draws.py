"""Seeded draws from the distributions that traffic has: popularity (Zipf), choices by weight, run lengths.

Every draw takes its generator; a tick's generator is made from (seed, purpose, tick), so one tick's draws do not
depend on how many numbers another has used.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def generator(seed: int, *purpose: int) -> np.random.Generator:
    """The generator of one purpose: independent of every other one of the same seed."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, *purpose))))


@dataclass(frozen=True, slots=True)
class Zipf:
    """Popularity by rank: rank r is drawn proportionally to 1 / r^exponent."""

    cumulative: NDArray[np.float64]
    """[size], rising to 1."""
    member: NDArray[np.int32]
    """[size] rank → member, so that the most popular one is not always number 0."""

    @classmethod
    def of(cls, size: int, exponent: float, rng: np.random.Generator | None = None) -> "Zipf":
        """Ranks 0 … size - 1; with `rng` a random permutation says which member has which rank."""
        weight = 1.0 / np.arange(1, size + 1, dtype=np.float64) ** exponent
        cumulative = np.cumsum(weight)
        cumulative /= cumulative[-1]
        member = np.arange(size) if rng is None else rng.permutation(size)
        return cls(cumulative, member.astype(np.int32))

    def draw(self, rng: np.random.Generator, n: int) -> NDArray[np.int32]:
        """N members, drawn independently."""
        rank = np.searchsorted(self.cumulative, rng.random(n), side="right")
        return self.member[np.minimum(rank, len(self.member) - 1)]


def weighted(rng: np.random.Generator, weights: Iterable[float], n: int) -> NDArray[np.int16]:
    """N indices into `weights`, each proportionally to its weight."""
    cumulative = np.cumsum(np.fromiter(weights, np.float64))
    index = np.searchsorted(cumulative, rng.random(n) * cumulative[-1], side="right")
    return np.asarray(index, np.int16)


def within_run(run_lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Position of every row within its run, for runs laid one after another.

    >>> within_run(np.array([2, 3])).tolist()
    [0, 1, 0, 1, 2]
    """
    ends = np.cumsum(run_lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) - np.repeat(ends - run_lengths, run_lengths)


def running_sum(values: NDArray[np.int64], run_lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum of the values before each row within its run (exclusive).

    >>> running_sum(np.array([5, 6, 7, 8, 9]), np.array([2, 3])).tolist()
    [0, 5, 0, 7, 15]
    """
    before = np.cumsum(values) - values
    starts = np.cumsum(run_lengths) - run_lengths
    has_rows = run_lengths > 0
    return np.asarray(before - np.repeat(before[starts[has_rows]], run_lengths[has_rows]))
