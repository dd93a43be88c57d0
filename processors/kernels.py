"""Where compiled kernels are kept, so that a worker need not compile when it starts.

numba looks only at the file of a cached kernel, but a kernel holds the code of all that it calls. So the cache lies in a
folder named after the content of every source file of this package: whatever changes, nothing stale is ever run.
"""

import hashlib
import os
import shutil
from pathlib import Path

import numba

_PACKAGE = Path(__file__).parent
_PREFIX = "kernels-"


def fingerprint() -> str:
    """A word for the content of all source files of the package, and the version of the compiler."""
    digest = hashlib.blake2b(numba.__version__.encode(), digest_size=8)
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def use_cache() -> None:
    """Let numba keep compiled kernels beside the package; a folder given by NUMBA_CACHE_DIR stays in force."""
    if "NUMBA_CACHE_DIR" not in os.environ and os.access(_PACKAGE, os.W_OK):
        numba.config.CACHE_DIR = str(_PACKAGE / "__pycache__" / f"{_PREFIX}{fingerprint()}")


def clear_old() -> None:
    """Remove the caches of sources that are not these any more."""
    current = Path(str(numba.config.CACHE_DIR)).name
    for folder in (_PACKAGE / "__pycache__").glob(f"{_PREFIX}*"):
        if folder.name != current:
            shutil.rmtree(folder, ignore_errors=True)
