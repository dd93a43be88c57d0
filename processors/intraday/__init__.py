"""The second, small world of a partition: the figures of every minute of the last days (docs/concepts/intraday.md).

May import processors and schemas. `minutes.Minutes` is what a partition keeps, `total` adds the partitions up.
"""
