"""One seed from its first event to rest: processes, broker and faults on one timeline."""

import random
from dataclasses import replace

from processors.intraday.counts import DIRTY
from processors.intraday.minutes import AHEAD_MINUTES
from schemas.control import ShopRecord
from schemas.durable import TOTALS_KEY, decode_totals
from schemas.settings import Settings
from schemas.topics import (
    CLOCK,
    FACTORS_LIVE,
    FACTORS_PAGES,
    INTRADAY_MINUTES,
    INTRADAY_PAGES,
    ITEMS,
    SHOPS,
    SOURCE_TOPICS,
    changelog_topic,
)
from stream import aggregator
from stream.world import core_config, source_options
from tests.events import DAY_MS
from tests.simulation.broker import Broker, RetryError
from tests.simulation.history import MIDNIGHTS_UTC_H, START_MS, ZONES, Traffic, draw_shape
from tests.simulation.loop import Timeline
from tests.simulation.shell import SOURCES, PlainVariant, Process, simulated_edges

HOUR_MS = 3_600_000
STEPS_MAX = 60_000
REST_MS_MAX = 120_000
_SETTINGS: dict = {}


def settings_of(shape):
    """Made once for each kind of deployment: checking settings takes longer than a whole seed."""
    key = shape.partitions, shape.clock, shape.windows
    if key not in _SETTINGS:
        settings = Settings(
            application_id="smart",
            partitions=shape.partitions,
            clock=shape.clock,
            windows=",".join(map(str, shape.windows)),
            horizon_days=40,
            max_users=256,
            max_shops=64,
            max_channels=64,
            max_names=256,
            max_products=256,
            max_rows=4_096,
            scopes="shop,market,new,group,gender",
            intraday_scopes="shop,channel",
            intraday_max_rows=256,
            intraday_interval_ms=300,
            catalogue_interval_ms=300,
            crosses_interval_ms=4_000,
        )
        config = replace(core_config(settings), ring_days=512)
        _SETTINGS[key] = settings, config, source_options(settings)
    return _SETTINGS[key]


class Store:
    """The serving store as one process sees it: fenced by marks, as `stream.store` does it."""

    def __init__(self, simulation, process):
        self._simulation, self._process = simulation, process
        self._marked = set()

    def check(self):
        """As it is done every few seconds: tells whether all marks are where they were set."""
        lost = [partition for partition in self._marked if self._simulation.marks[partition] is not self]
        for partition in lost:
            self._marked.discard(partition)
            self._process.world.refresh_store(partition)
        return not lost

    def show(self, partition, notes):
        simulation = self._simulation
        was_marked = partition in self._marked
        self.check()
        if was_marked and partition not in self._marked:
            return
        self._marked.add(partition)
        simulation.marks[partition] = self
        for key, noted in notes.hashes.items():
            stored = simulation.stored.setdefault(key, {})
            if noted.is_whole:
                stored.clear()
            stored.update(noted.fields)
            for name in [name for name, value in stored.items() if value is None]:
                del stored[name]

    def forget(self, partition):
        self._marked.discard(partition)


def _has_unpublished_minutes(world):
    """Whether minutes have changed that no transaction has been given yet."""
    if any(source.partition.intraday._counts.control[DIRTY] for source in world.sources.values()):
        return True
    through = (world.now_ms() // 60_000 + AHEAD_MINUTES) // 60
    return any(
        partition not in world._hours_are_whole or hours._unshown or any(hour <= through for _, hour in hours._changed)
        for partition, hours in world.hours.items()
    )


def _has_unfollowed_items(world):
    """Whether the catalogue says something that a partition has not looked at."""
    changes = len(world.items.catalogue.changes)
    return any(source.partition._listings._followed != changes for source in world.sources.values())


class Simulation:
    def __init__(self, seed, variant=PlainVariant, *, is_told=False):
        self.seed = seed
        self.variant = variant
        self.random = random.Random(seed)
        self._cleaning = random.Random(seed)  # its own, so that a seed can be run without compaction
        self.timeline = Timeline()
        self.told: list[str] | None = [] if is_told else None
        self.problems: list[str] = []
        self.shape = draw_shape(self.random)
        self.settings, self.config, options = settings_of(self.shape)
        self.source_options = replace(options, undecodable_run_records_max=self.shape.undecodable_run_max)
        self.changelog = changelog_topic("smart")
        self.commit_interval_s = self.shape.commit_interval_s
        self.session_timeout_ms = 3_000
        self.heartbeat_ms = 500
        self.rebalance_timeout_ms = 4_000
        self.transaction_timeout_ms = 6_000
        self._wall_ahead_ms = 0.0
        self.stored: dict[str, dict[str, bytes]] = {}
        """What the serving store shows."""
        self.marks: dict[int, Store] = {}
        self.broker = Broker(self)
        self.processes: dict[str, Process | None] = {}
        self._all: list[Process] = []
        self._armed = []
        self.is_active = True
        self.traffic = Traffic(self.random, self.shape.partitions, is_wall=self.shape.clock == "wall")
        variant.prepare(self) if hasattr(variant, "prepare") else None

    # --- telling

    def tell(self, who, what):
        if self.told is not None:
            self.told.append(f"{self.timeline.now_ms:10.1f} ms  {who:7} {what}")

    def wrong(self, what, error=None):
        self.tell("!!!", what)
        self.problems.append(what)
        if error is not None and self.told is not None:
            import traceback

            self.told += traceback.format_exception(error)

    # --- time

    def wall_ms(self):
        return int(START_MS + 10 * HOUR_MS + self.timeline.now_ms + self._wall_ahead_ms)

    def latency_ms(self):
        return self.random.choice((0.3, 1, 3, 10, 40)) * (1 + self.random.random())

    def turn_ms(self):
        return self.random.choice((0.05, 0.05, 0.2, 2))

    def agent_ms(self):
        return self.random.choice((0.2, 2, 30, 600))

    def chunk_size(self):
        return self.random.choice((1, 2, 5, 1000, 1000))

    def read_size(self):
        return self.random.choice((3, 1000, 1000))

    # --- the network

    def send(self, process, what, serve, future):
        self.at_boundary(process, f"{what}, asked")
        self.timeline.later(self.latency_ms(), lambda: self._serve(process, what, serve, future))

    def _serve(self, process, what, serve, future):
        down_ms = self.broker.down_until_ms - self.timeline.now_ms
        if down_ms > 0:
            self.timeline.later(down_ms + self.latency_ms(), lambda: self._serve(process, what, serve, future))
            return
        try:
            result, error = serve(), None
        except RetryError:
            if process.is_alive and not future.cancelled():
                self.timeline.later(20 + self.latency_ms(), lambda: self._serve(process, what, serve, future))
            return
        except Exception as raised:  # noqa: BLE001  # is the answer
            result, error = None, raised
        self.at_boundary(process, f"{what}, done")
        self.timeline.later(
            self.latency_ms(), lambda: process.receive(lambda: self._answer(process, what, future, result, error))
        )

    def _answer(self, process, what, future, result, error):
        if self.told is not None and what != "fetch":
            self.tell(process.name, f"{what}: {error!r}" if error else what)
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
        self.at_boundary(process, f"{what}, answered")

    def ask_to_join(self, process, joined):
        def answer(result):
            self.timeline.later(
                self.latency_ms(), lambda: process.receive(lambda: self._answer(process, "join", joined, result, None))
            )

        def ask():
            if process.is_alive:
                down_ms = self.broker.down_until_ms - self.timeline.now_ms
                if down_ms > 0:
                    self.timeline.later(down_ms + self.latency_ms(), ask)
                    return
                self.broker.group.join(process, answer)

        self.at_boundary(process, "join, asked")
        self.timeline.later(self.latency_ms(), ask)

    def poke(self, topic, partition):
        """A log has grown for its readers."""
        for process in list(self.processes.values()):
            if process is None or not process.is_alive:
                continue
            if topic in (CLOCK, ITEMS):
                process.follow_control()
            elif topic in SOURCES:
                for tp in process.assigned:
                    if tp.topic == topic and tp.partition == partition:
                        process.fetch(tp)

    def is_compacted(self, topic):
        return topic in {self.changelog, FACTORS_PAGES, FACTORS_LIVE, INTRADAY_PAGES, INTRADAY_MINUTES, CLOCK}

    def assign(self, members):
        """Member → its partitions: level and sticky as a rule, now and then anything."""
        order = sorted(members, key=lambda process: process.name)
        partitions = list(range(self.shape.partitions))
        if self.random.random() < 0.3:
            given = {p: self.random.choice(order) for p in partitions}
        else:
            given, most = {}, -(-len(partitions) // len(order))
            for process in order:
                given |= dict.fromkeys(members[process][:most], process)
            for p in partitions:
                if p not in given:
                    load = {process: sum(owner is process for owner in given.values()) for process in order}
                    given[p] = min(order, key=lambda process: load[process])
        return {process: tuple(p for p in partitions if given[p] is process) for process in order}

    def store_of(self, process):
        return Store(self, process)

    # --- faults

    def at_boundary(self, process, point):
        if self._armed:
            for fault in self._armed:
                if fault.point == point:
                    self._armed.remove(fault)
                    self._hit(process, fault)
                    return

    def _arm(self, fault):
        if fault.point == "now":
            alive = [process for process in self.processes.values() if process is not None and process.is_alive]
            if alive:
                self._hit(self.random.choice(alive), fault)
        else:
            self._armed.append(fault)

    def _hit(self, process, fault):
        if not process.is_alive or process.loop.is_paused or not self.is_active:
            return
        self.tell(
            process.name, f"{fault.kind} at: {fault.point}" + (f", {fault.for_ms:.0f} ms" if fault.for_ms else "")
        )
        if fault.kind == "crash":
            process.loop.kill()
            self.ended(process, None, "killed", None)
        elif fault.kind == "stop":
            process.loop.create_task(process._supervised(process.leave))
        else:
            process.pause()
            self._expire_later(process)
            self.timeline.later(fault.for_ms, lambda: self._resume(process))

    def _resume(self, process):
        if process.is_alive and process.loop.is_paused:
            self.tell(process.name, "goes on")
            process.resume()

    def _expire_later(self, process):
        since = self.timeline.now_ms

        def expire():
            if process.is_alive and not (process.loop.is_paused and process.paused_at_ms == since):
                return
            self.broker.group.remove(process)

        process.paused_at_ms = since
        self.timeline.later(self.session_timeout_ms, expire)

    def ended(self, process, code, reason, error):
        """A process has ended: its session expires, and it is started again."""
        name = process.name.split(".")[0]
        self.processes[name] = None
        self._expire_later(process)
        if code is not None and code.name == "DATA":  # somebody looks, and lets it go on
            self.source_options = replace(self.source_options, undecodable_run_records_max=1_000)
        delay_ms = self.random.choice([100, 1_000, 5_000]) if self.is_active else 100
        self.timeline.later(delay_ms, lambda: self._start(name))

    def _start(self, name):
        if self.processes.get(name) is None:
            life = f"{name}.{len(self._all) + 1}"
            self.tell("", f"{life} starts")
            self.processes[name] = Process(self, life, self.variant)
            self._all.append(self.processes[name])

    def _jump(self, kind):
        day_ms = self.wall_ms() % DAY_MS
        if kind == "midnight":
            to_ms = self.random.choice(MIDNIGHTS_UTC_H) * HOUR_MS - self.random.choice([200, 1_000, 3_000])
            ahead_ms = (to_ms - day_ms) % DAY_MS
        else:
            ahead_ms = {"hours": 7 * HOUR_MS, "days": self.random.randint(1, 9) * DAY_MS, "months": 70 * DAY_MS}[kind]
        self._wall_ahead_ms += ahead_ms
        self.tell("", f"{ahead_ms / HOUR_MS:.1f} hours pass")

    # --- checks on the way

    def check_offsets(self, offsets):
        """No committed offset is beyond what the changelog holds."""
        for (topic, partition), end in offsets.items():
            if topic not in SOURCE_TOPICS:
                continue
            applied = self.totals(partition).topics.get(topic)
            held = applied.next_offset if applied else 0
            # Nothing has to be held of a log's beginning that has no record at all.
            if end > held and any(True for _ in self.broker.logs[topic, partition].committed(held, end)):
                self.wrong(
                    f"offset {end} of {topic}-{partition} is committed, the changelog holds what is below {held}"
                )

    def totals(self, partition):
        """The newest totals that are, or are sure to become, visible."""
        for entry in reversed(self.broker.logs[self.changelog, partition].entries):
            if entry.key == TOTALS_KEY and entry.is_committed:
                return decode_totals(entry.value)
        from schemas.durable import Totals

        return Totals()

    # --- the run

    def run(self):
        """To rest. What was wrong on the way is in `problems`; the judge adds to it."""
        before = aggregator.RECORDS_AT_A_TIME
        aggregator.RECORDS_AT_A_TIME = self.shape.records_at_a_time
        try:
            with simulated_edges():
                self._prepare()
                while self.timeline.now_ms < self.shape.active_ms and not self.problems and self.timeline.step():
                    pass
                if not self.problems:
                    self._come_to_rest()
        finally:
            aggregator.RECORDS_AT_A_TIME = before
            for process in self._all:
                process.loop.kill()
                process.loop.bury()
        return self

    def _prepare(self):
        shape, timeline = self.shape, self.timeline
        self.tell("", f"seed {self.seed}: {shape}")
        for shop, zone in ZONES.items():
            if zone != self.settings.default_timezone:
                record = ShopRecord(shop_id=shop, zone=zone)
                self.broker.logs[SHOPS, 0].append(record.key(), record.encode())
        for number in range(shape.workers):
            timeline.later(self.random.choice([0, 0, 1_500]), lambda name=f"w{number + 1}": self._start(name))
        if shape.third_joins_ms is not None:
            timeline.later(shape.third_joins_ms, lambda: self._start("w9"))
        for _ in range(self.random.randint(4, 24)):
            timeline.later(self.random.uniform(0, shape.active_ms), self._produce)
        for fault in shape.faults:
            timeline.later(fault.at_ms, lambda fault=fault: self._arm(fault))
        for at_ms in shape.rebalances_ms:
            timeline.later(at_ms, self.broker.group.rebalance)
        for at_ms, for_ms in shape.outages:
            timeline.later(at_ms, lambda for_ms=for_ms: self._outage(for_ms))
        for at_ms, kind in shape.jumps:
            timeline.later(at_ms, lambda kind=kind: self._jump(kind))
        for at_ms in shape.compactions_ms:
            timeline.later(at_ms, lambda: self.broker.compact(self._cleaning))

    def _produce(self):
        topic, partition, key, value = self.traffic.next(self.wall_ms())
        offset = self.broker.produce(topic, partition, key, value)
        self.tell("", f"{topic}-{partition} @{offset} {(value or b'deleted').decode()}")
        if topic == ITEMS:
            self.traffic.item_offsets.append(offset)

    def _outage(self, for_ms):
        self.tell("broker", f"is away for {for_ms} ms")
        self.broker.down_until_ms = self.timeline.now_ms + for_ms

    def _come_to_rest(self):
        """No more faults; every date has come; all that is on its way arrives."""
        self.is_active = False
        self._armed.clear()
        self._wall_ahead_ms += (5 * 60_000 - self.wall_ms()) % HOUR_MS  # far from any midnight
        self.tell("", "no more faults from here")
        for process in self.processes.values():
            if process is not None and process.loop.is_paused:
                self._resume(process)
        began_ms = self.timeline.now_ms
        check_ms, quiet = began_ms, 0
        while not self.problems and quiet < 3:
            if self.timeline.now_ms - began_ms > REST_MS_MAX or not self.timeline.step():
                self.wrong("it does not come to rest")
                return
            if self.timeline.now_ms >= check_ms:
                check_ms = self.timeline.now_ms + self.commit_interval_s * 1000
                quiet = quiet + 1 if self._is_quiet() else 0

    def _greatest_ms(self):
        return max((process.world.now_ms() for process in self.processes.values() if process is not None), default=0)

    def _is_quiet(self):  # noqa: PLR0911  # one reason a line
        group = self.broker.group
        if self.broker.down_until_ms > self.timeline.now_ms:
            return False
        if group.state != "stable" or any(process is None for process in self.processes.values()):
            return False
        owned = set()
        for process in self.processes.values():
            if _has_unpublished_minutes(process.world):
                return False
            if process not in group.members or process.rejoin.is_set() or not process.is_flowing:
                return False
            if not process.consumer._is_publishing or process.recovery.in_recovery:
                return False
            for tp in process.assigned:
                owned.add((tp.topic, tp.partition))
                log, done = self.broker.logs[tp.topic, tp.partition], process.consumer._books[tp].done or 0
                uncommitted = process.consumer._books[tp].committable() is not None
                if done < log.stable_end or log.open or uncommitted:
                    return False
            now_ms = self._greatest_ms() if self.shape.clock == "event" else 0
            if any(pages._now_ms < now_ms for pages in process.world.pages.values() if now_ms):
                return False  # the newest date has not come everywhere
            if any(pages._undated for pages in process.world.pages.values()):
                return False
            aggregates = [pages.aggregate for pages in process.world.pages.values()]
            if any(one.changed(crossed=crossed) for one in aggregates for crossed in (False, True)):
                return False
            if any(source.partition.waiting.records for source in process.world.sources.values()):
                return False
            if not process.world._store.check() or any(pages._unrefreshed for pages in process.world.pages.values()):
                return False
            if process._control_read_to[CLOCK] < self.broker.logs[CLOCK, 0].stable_end - 40:
                return False
            if process._control_read_to[ITEMS] < self.broker.logs[ITEMS, 0].stable_end:
                return False
            if _has_unfollowed_items(process.world):
                return False
        return len(owned) == len(SOURCES) * self.shape.partitions
