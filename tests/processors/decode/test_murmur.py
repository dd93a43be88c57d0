"""Partitions of keys are those that Kafka's producers choose."""

import numpy as np
import pytest
from aiokafka.partitioner import murmur2 as kafka_murmur2
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.decode.murmur import (
    crc32_partition,
    crc32_table,
    murmur2,
    murmur2_partition,
    partition_of,
)

# Of the tests of Kafka's Java client (signed 32-bit), so that no Python package is the only witness.
KNOWN = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}
TABLE = crc32_table()


@pytest.mark.parametrize(("key", "signed"), KNOWN.items())
def test_the_hash_is_that_of_kafkas_java_client(key, signed):
    assert murmur2(key) == signed & 0xFFFFFFFF


def test_a_negative_hash_loses_its_sign_bit_as_kafkas_does():
    assert partition_of(b"21", 1000) == (-973932308 & 0x7FFFFFFF) % 1000


def test_crc32_is_librdkafkas():
    assert partition_of(b"123456789", 1000, "crc32") == 0xCBF43926 % 1000


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.binary(min_size=1, max_size=40), st.integers(1, 500), st.integers(0, 3))
def test_kernels_and_plain_functions_and_kafka_agree(key, partitions, start):
    buffer = np.frombuffer(b"#" * start + key + b"#", np.uint8)
    assert murmur2(key) == kafka_murmur2(key) & 0xFFFFFFFF
    assert murmur2_partition(buffer, start, len(key), partitions) == partition_of(key, partitions)
    assert crc32_partition(buffer, start, len(key), partitions, TABLE) == partition_of(key, partitions, "crc32")
