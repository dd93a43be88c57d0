"""The shell under a seeded scheduler: any interleaving of workers, broker and faults, drawn and replayed at will.

`python -m tests.simulation SEED` runs one seed and prints its whole schedule. What runs is the product: `World`, the
source and page partitions, the clock, offsets, ownership, and the very coroutines that commit, take over and seek. What
stands in for the world outside is `broker` (a model of Kafka), `loop` (time and the order of steps), and `shell` (the
edges of Faust). `history` draws what happens, `judge` says what must be true at the end, `variants` breaks the product
on purpose, to see that it would be noticed.
"""
