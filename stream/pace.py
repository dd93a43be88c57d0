"""When a partition's turn has come, for what need not be published with every commit. Without a clock of its own."""


class Turns:
    """A turn each `interval_ms` for each partition, spread over the interval: not all of them have it in one round."""

    def __init__(self, interval_ms: float, partitions: int) -> None:
        self._interval_ms = interval_ms
        self._partitions = partitions
        self._last_ms: dict[int, float] = {}

    def is_due(self, partition: int, wall_ms: int, *, slower: int = 1) -> bool:
        """Whether it is the partition's turn; then it has had it. slower: the interval is so many times as long."""
        interval_ms = self._interval_ms * slower
        first_ms = wall_ms - interval_ms + interval_ms * partition / self._partitions
        is_due = not 0 <= wall_ms - self._last_ms.setdefault(partition, first_ms) < interval_ms
        if is_due:
            self._last_ms[partition] = wall_ms
        return is_due

    def forget(self, partition: int) -> None:
        """The partition is another's."""
        self._last_ms.pop(partition, None)


class Allowance:
    """So many of something a second, shared by partitions; what is left over from more than a second ago is gone."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._last_ms: dict[int, int] = {}

    def take(self, partition: int, wall_ms: int, *, partitions: int) -> int:
        """How many the partition may have since it was asked last, if it shares with so many; at least one."""
        past_ms = min(max(wall_ms - self._last_ms.get(partition, 0), 0), 1_000)
        self._last_ms[partition] = wall_ms
        return max(self._per_second * past_ms // (1_000 * partitions), 1)

    def forget(self, partition: int) -> None:
        """The partition is another's."""
        self._last_ms.pop(partition, None)
