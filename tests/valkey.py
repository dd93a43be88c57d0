"""A real store for tests: one Valkey process on a folder, that can be stopped, started and emptied."""

import contextlib
import subprocess
import time

from stream.local import ports, store


class Valkey:
    """A store on a port of its own."""

    def __init__(self, folder):
        folder.mkdir(exist_ok=True)
        self._store = store.Store(folder, ports.choose(None), store.find_server())
        self._process = None
        self.url = self._store.url

    def start(self):
        self._process = subprocess.Popen(
            self._store.command, cwd=self._store.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while not store.answers(self.url):
            assert time.monotonic() < deadline, "the store did not start"
            time.sleep(0.02)

    def stop(self):
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def forget(self):
        """Lose all data, as a store without a disk does when it is started again."""
        for file in self._store.folder.rglob("*.aof"):
            file.unlink()
        for file in self._store.folder.rglob("*.manifest"):
            file.unlink()
        for file in self._store.folder.rglob("*.rdb"):
            file.unlink()


@contextlib.contextmanager
def running(folder):
    """A running store, stopped at the end."""
    valkey = Valkey(folder)
    valkey.start()
    try:
        yield valkey
    finally:
        valkey.stop()
