"""The traffic that benchmarks play: simulated draws of one shape, as rows for the reference and as records to send."""

from collections.abc import Iterator
from dataclasses import dataclass

from stream.routing import Messages
from stream.simulate.benchmark import Shape, rows
from stream.simulate.encode import Encoder
from stream.simulate.journeys import Rows
from stream.simulate.world import World

SEED = 1
_CHUNK = 50_000


@dataclass(frozen=True)
class Traffic:
    """Rows, and the world they are of."""

    shape: Shape
    world: World
    rows: Rows

    @classmethod
    def of(cls, events: int, *, users_per_event: float = 0.1, seed: int = SEED) -> "Traffic":
        """The shape of 2 M events, 200 k users and 100 shops, or a part of it with the same share of users."""
        shape = Shape(events=events, users=max(int(events * users_per_event), 100))
        world = shape.world(seed)
        return cls(shape, world, rows(seed, shape, world))

    def messages(self, first: int = 0, end: int | None = None) -> Iterator[Messages]:
        """Records of rows first … end, some at a time."""
        encoder = Encoder(self.world, str(SEED))
        end = len(self.rows) if end is None else end
        for start in range(first, end, _CHUNK):
            yield encoder.encode(self.rows[start : min(start + _CHUNK, end)])

    def mean_bytes(self) -> float:
        """Mean size of a value, of the first records."""
        values = next(self.messages(0, min(10_000, len(self.rows)))).values
        return sum(map(len, values)) / len(values)
