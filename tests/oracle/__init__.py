"""Brute force straight from the definitions: plain sets and dicts, no array, no increment, no code of the product.

Everything here may be slow and must be obvious; the product is held to it. It imports nothing of the product.
"""

from tests.oracle.factors import Oracle

__all__ = ["Oracle"]
