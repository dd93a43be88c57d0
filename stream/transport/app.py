"""A Faust app on the batch transport."""

import asyncio
import logging
import threading
from typing import Any

import faust
from faust.types import AgentT, TopicT

from stream.transport.codecs import CodecError, check_codecs
from stream.transport.committer import Committer, NothingToCommit
from stream.transport.driver import install
from stream.transport.exits import ExitCode, die
from stream.transport.options import TransportOptions
from stream.transport.reconnect import pause_between_reconnects, say_once
from stream.transport.schema import ChunkSchema

log = logging.getLogger(__name__)

CHUNKS_WAITING_MAX = 16


class BatchApp(faust.App):
    """Faust app whose topics are delivered in chunks and whose commits are transactions. See `stream.transport`."""

    def __init__(self, name: str, *, options: TransportOptions, **faust_settings: Any) -> None:
        """`name`: consumer group and prefix of the transactional ids. `faust_settings` override those of `options`."""
        install()
        say_once()
        pause_between_reconnects(options.reconnect_pause_ms / 1000)
        self.options = options
        self.committer: Committer = NothingToCommit()
        self.from_start_topics: set[str] = set()
        self.compacted_topics: set[str] = set()
        super().__init__(name, **{**options.faust_settings(), **faust_settings})

    def chunk_topic(self, name: str, *, from_start: bool = False, compacted: bool = False) -> TopicT:
        """Topic whose events are `Chunk`s.

        from_start: read the whole log at each assignment (it rebuilds a state); `app.consumer.committed_offset(tp)`
        says up to where it had been handled before, and is never committed backwards. compacted: the log may have
        holes.
        """
        if from_start:
            self.from_start_topics.add(name)
        if compacted:
            self.compacted_topics.add(name)
        return self.topic(name, schema=ChunkSchema(), maxsize=CHUNKS_WAITING_MAX)

    async def _on_agent_error(self, agent: AgentT[Any], exc: BaseException) -> None:
        """End the process: the agent's chunk is neither done nor undone, and Faust would go on behind it."""
        if not isinstance(exc, asyncio.CancelledError):
            die(ExitCode.SOFTWARE, f"agent {agent.name} raised", exc)

    async def on_start(self) -> None:
        """Refuse to start when a compression could not be read."""
        try:
            check_codecs()
        except CodecError as error:
            die(ExitCode.CONFIG, str(error))
        await super().on_start()

    async def stop(self) -> None:
        """Stop in good order; where that takes longer than `stop_wait_ms`, because no broker answers, end all the same.

        Nothing is lost by it: what was not committed is read again.
        """
        patience_s = self.options.stop_wait_ms / 1000
        reason = f"not stopped in good order within {patience_s:g} s"
        deadline = threading.Timer(patience_s, die, (ExitCode.TRANSACTION, reason))
        deadline.daemon = True
        deadline.start()
        await super().stop()
        deadline.cancel()
