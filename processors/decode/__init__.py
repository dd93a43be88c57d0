"""Bytes of records → columns of numbers and byte spans, and the refusals. Stateless; may import schemas, numpy, numba.

A numba scanner takes the plainly good records; every other record goes to the plain-Python reference, which alone
decides refusals. Both agree in every column (tests/processors/decode/).
"""

from processors.decode.columns import Decoded
from processors.decode.decoder import decode

__all__ = ["Decoded", "decode"]
