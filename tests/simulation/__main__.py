"""`python -m tests.simulation SEED [VARIANT]`: run one seed and print its whole schedule.
`python -m tests.simulation FIRST..END`: run a range of seeds and print the ones that fail.
"""

import sys
import time

from tests.simulation.judge import judge
from tests.simulation.shell import PlainVariant
from tests.simulation.simulation import Simulation


def main(seed, variant="PlainVariant"):
    if variant == "PlainVariant":
        chosen = PlainVariant
    else:
        from tests.simulation import variants

        chosen = getattr(variants, variant)
    if ".." in seed:
        first, end = map(int, seed.split(".."))
        started, failed = time.process_time(), 0
        for number in range(first, end):
            problems = judge(Simulation(number, chosen).run(), by_brute_force=number % 50 == 0)
            if problems:
                failed += 1
                print(f"seed {number}: {problems[0]}")
        seconds = time.process_time() - started
        print(f"{failed} of {end - first} failed, {1000 * seconds / (end - first):.1f} ms a seed")
        return
    simulation = Simulation(int(seed), chosen, is_told=True).run()
    problems = judge(simulation, by_brute_force=True)
    print("\n".join(simulation.told))
    print("\n".join(problems) if problems else "all is as it should be")


main(*sys.argv[1:])
