"""What a kernel is, and where compiled ones are kept, so that a worker need not compile when it starts.

Kernels get all their memory from the caller and return numbers. So numba's reference counts are left out (`_nrt`): it
would count at every touch of an array, with two atomic operations each, and half the time or more went there. One
that makes an array after all does not compile.

numba looks only at the file of a cached kernel, but a kernel holds the code of all that it calls. So the cache lies
in a folder named after everything that kernels are made of: whatever of it changes, nothing stale is ever run.
"""

import ast
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numba

kernel: Final[Any] = numba.njit(cache=True, nogil=True, _nrt=False)
"""Decorator: compiled, kept, run without Python's lock."""
inlined: Final[Any] = numba.njit(cache=True, nogil=True, _nrt=False, inline="always")
"""The same for a small one that is part of its callers: a call hands over every array with seven words."""

_PACKAGE = Path(__file__).parent
_PREFIX = "kernels-"
_WORDS = {"kernel", "inlined"}


def fingerprint() -> str:
    """A word for all kernels, the constants and tuples that they use, and the compiler's version; comments do not
    count.
    """
    digest = hashlib.blake2b(f"{numba.__version__}, no reference counts".encode(), digest_size=8)
    for path in sorted(_PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "processors.kernels import" in text:
            digest.update(path.relative_to(_PACKAGE).as_posix().encode())
            for node in _ingredients(ast.parse(text)):
                digest.update(ast.dump(node).encode())
    return digest.hexdigest()


def _ingredients(module: ast.Module) -> Iterator[ast.stmt]:
    """Kernels, constants and named tuples of a module, without their docstrings."""
    for node in module.body:
        is_kernel = isinstance(node, ast.FunctionDef) and any(ast.unparse(one) in _WORDS for one in node.decorator_list)
        is_tuple = isinstance(node, ast.ClassDef) and any("NamedTuple" in ast.dump(base) for base in node.bases)
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and (is_kernel or is_tuple):
            node.body = [one for one in node.body if not _is_text(one)]
            yield node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            yield node


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


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
