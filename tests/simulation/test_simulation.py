"""Whatever is killed, stopped, cut off or delayed, and whenever: figures, totals and dead letters come out exact."""

import os
import subprocess
import sys

import pytest

from tests.simulation import run, variants

SEEDS = int(os.environ.get("SMART_TEST_SEEDS", "10000"))
SEARCHED = 2_000
"""Seeds within which a broken variant has to be found; the rarest needs a few hundred."""


@pytest.mark.faults
@pytest.mark.timeout(1_200)
def test_every_history_comes_out_exact():
    found = run.failing_in_parallel(0, SEEDS)
    shown = "".join(f"\nseed {seed}: {problem}" for seed, problem in sorted(found)[:20])
    whole = f"\n\n{run.told(min(found)[0])}" if found else ""
    assert not found, (
        f"{len(found)} of {SEEDS} histories fail; 'python -m tests.simulation SEED' shows one{shown}{whole}"
    )


@pytest.mark.faults
@pytest.mark.timeout(600)
@pytest.mark.parametrize("variant", variants.MUTANTS, ids=lambda variant: variant.__name__)
def test_a_broken_shell_is_found(variant):
    found = run.failing(0, SEARCHED, variant, most=1)
    assert any(not run.problems_of(seed) for seed, _ in found), f"{variant.__doc__} Nothing noticed it."


def test_a_seed_is_the_same_history_every_time():
    texts = {
        subprocess.run(
            [sys.executable, "-m", "tests.simulation", "7"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(texts) == 1
