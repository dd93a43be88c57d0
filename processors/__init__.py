"""What is true: decode, ledgers, counters, pages and figures. Values in, values out; no I/O, no clock, no metrics.

May import schemas, numpy, numba and msgspec; never Kafka, Redis, asyncio or anything that moves.
The inner loops are numba kernels; each has a plain-Python twin that property tests hold it to.
"""
