"""How a worker leaves when it must not go on: at once, with a code its supervisor can tell apart.

A worker that was fenced, or that no longer knows what its transaction holds, must neither commit offsets nor send
another record. An orderly shutdown would do both, so `die` ends the process without one; the next start recovers from
the log.

| code | meaning | what the supervisor should do |
|---|---|---|
| 75 `FENCED` | another worker owns this worker's partitions | start again at once |
| 74 `TRANSACTION` | a transaction failed for good, or no broker answered while stopping | start again with back-off |
| 70 `SOFTWARE` | an agent, `collect` or the ledger store raised | start again with back-off, look at the log |
| 65 `DATA` | a record batch cannot be read: bad checksum, unknown codec | look at the log, it will not heal itself |
| 78 `CONFIG` | topics, partition counts or codecs do not fit the settings | correct the settings, then start |
"""

import logging
import os
import sys
from enum import IntEnum
from typing import NoReturn

log = logging.getLogger(__name__)


class ExitCode(IntEnum):
    """Exit codes of a worker; the numbers follow sysexits.h."""

    DATA = 65
    SOFTWARE = 70
    TRANSACTION = 74
    FENCED = 75
    CONFIG = 78


def die(code: ExitCode, reason: str, error: BaseException | None = None) -> NoReturn:
    """Log `reason` and end the process now: no clean-up, no flush of producers, no offset commit."""
    log.critical("worker exits with code %d (%s): %s", code, code.name, reason, exc_info=error)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(int(code))
