"""Seeded traffic: shoppers of many shops as native events, for demos, load tests and benchmarks.

world (who and what exists) → journeys (browsing that leads to carts, orders, purchases, refunds) → timeline (in order
of arrival) → encode (bytes). All of it is pure: the same seed and parameters give the same bytes.
`stream/cli/simulate.py` does the I/O. `benchmark.traffic` is the other shape: independent draws, for tests and
throughput figures. May import schemas; nothing of the worker.
"""
