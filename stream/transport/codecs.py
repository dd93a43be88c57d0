"""Can this process read every compression that a producer may choose?

Without the package `cramjam`, lz4, zstd and snappy batches cannot be decoded; aiokafka notices when it meets the
first one, long after the start. So the worker tries all of them before it joins.
"""

from collections.abc import Callable

from aiokafka import codec

CODECS: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "gzip": (codec.gzip_encode, codec.gzip_decode),
    "lz4": (codec.lz4_encode, codec.lz4_decode),
    "snappy": (codec.snappy_encode, codec.snappy_decode),
    "zstd": (codec.zstd_encode, codec.zstd_decode),
}
_SAMPLE = b"one sample, " * 20


class CodecError(RuntimeError):
    """A compression cannot be decoded here."""


def check_codecs() -> None:
    """Encode and decode a sample with every codec; raise `CodecError` naming those that do not work."""
    broken = [name for name in CODECS if not _works(name)]
    if broken:
        raise CodecError(f"records compressed with {', '.join(broken)} cannot be read: install the package 'cramjam'")


def _works(name: str) -> bool:
    encode, decode = CODECS[name]
    try:
        return bytes(decode(encode(_SAMPLE))) == _SAMPLE
    except (NotImplementedError, RuntimeError, TypeError, ValueError, AttributeError, NameError):
        return False
