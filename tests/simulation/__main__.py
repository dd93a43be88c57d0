"""`python -m tests.simulation SEED [VARIANT]`: run one seed and print its whole schedule.
`python -m tests.simulation FIRST..END [VARIANT]`: run a range of seeds and print those that fail.
"""

import sys
import time

from tests.simulation import run, variants


def main(seeds, variant="PlainVariant"):
    chosen = getattr(variants, variant)
    if ".." not in seeds:
        print(run.told(int(seeds), chosen))
        return
    first, end = map(int, seeds.split(".."))
    run.problems_of(first, chosen)
    started = time.process_time()
    found = run.failing(first, end, chosen)
    spent_ms = 1000 * (time.process_time() - started)
    for seed, problem in found:
        print(f"seed {seed}: {problem}")
    print(f"{len(found)} of {end - first} failed; {spent_ms / (end - first):.1f} ms a seed")


if __name__ == "__main__":
    main(*sys.argv[1:])
