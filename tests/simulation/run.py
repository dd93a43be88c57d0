"""Runs seeds: one after another, or ranges of them on several processes."""

import gc
import multiprocessing
import os

from tests.simulation.judge import judge
from tests.simulation.shell import PlainVariant
from tests.simulation.simulation import Simulation

SLICE = 10
"""Seeds between two collections: what a seed leaves holds address space."""
BRUTE_FORCE_EVERY = 100


def problems_of(seed, variant=PlainVariant):
    """What is wrong with a seed, in words."""
    return judge(Simulation(seed, variant).run(), by_brute_force=seed % BRUTE_FORCE_EVERY == 0)


def told(seed, variant=PlainVariant):
    """A seed's whole schedule and its problems, as text."""
    simulation = Simulation(seed, variant, is_told=True).run()
    problems = judge(simulation, by_brute_force=True)
    return "\n".join([*simulation.told, *(problems or ["all is as it should be"])])


def failing(first, end, variant=PlainVariant, *, most=None):
    """(seed, its first problem) of the seeds first … end - 1 that fail, at most so many."""
    found = []
    gc.collect()
    gc.freeze()  # a collection need not visit what was there before
    gc.disable()
    try:
        for seed in range(first, end):
            if seed % SLICE == 0:
                gc.collect()
            problems = problems_of(seed, variant)
            if problems:
                found.append((seed, problems[0]))
                if most is not None and len(found) >= most:
                    break
    finally:
        gc.enable()
        gc.unfreeze()
    return found


def _slice(bounds):
    return failing(*bounds)


def failing_in_parallel(first, end, processes=None):
    """As `failing`, on several processes."""
    processes = processes or os.cpu_count() or 1
    bounds = [(start, min(start + 10 * SLICE, end)) for start in range(first, end, 10 * SLICE)]
    problems_of(first)  # kernels are loaded before the processes part
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        return [found for some in pool.imap_unordered(_slice, bounds) for found in some]
