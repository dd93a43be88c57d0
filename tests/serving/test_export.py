"""An exported file holds the records as they are, typed, and appears only when it is whole."""

import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.figures import Provenance, record
from schemas.factors import FactorRecord
from serving.export import ROWS_A_GROUP, SCHEMA, ExportError, FactorFile

PROVENANCE = Provenance("2024-11-01", "2026-11-11T02:00:00.250Z", "2026-11-11T02:00:01.000Z")


def made(n=1, **fields):
    plain = {"scope": "shop=s1", "as_of": "2026-11-11", "window_days": 7, "history_from": "2024-11-01"}
    return [FactorRecord(**plain | {"s": number} | fields) for number in range(n)]


def as_text(value):
    """A value of a column as it stands in JSON."""
    if isinstance(value, dt.datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, dt.date) else value


def read_back(path):
    return [FactorRecord(**{k: as_text(v) for k, v in row.items()}) for row in pq.read_table(path).to_pylist()]


def test_every_field_has_its_column_and_its_type():
    assert tuple(SCHEMA.names) == FactorRecord.__struct_fields__
    for name, field in zip(SCHEMA.names, SCHEMA, strict=True):
        expected = {"as_of": pa.date32(), "gmv_minor": pa.int64(), "s": pa.int64(), "m": pa.float64()}
        assert field.type == expected.get(name, field.type)
        default = {each: getattr(made()[0], each) for each in SCHEMA.names}[name]
        assert field.nullable or default is not None


COUNTS = st.integers(0, 2**53)


@given(st.lists(st.tuples(COUNTS, COUNTS, COUNTS, COUNTS), min_size=1, max_size=20))
def test_values_are_the_same_to_the_last_bit(tmp_path_factory, drawn):
    records = [
        record("shop=s1|item=ü", 30, "2026-11-11", (s + b, 0, b, 0, n, 1), "CNY", (gmv, 0), PROVENANCE)
        for s, b, n, gmv in drawn
    ]
    path = tmp_path_factory.mktemp("export") / "figures.parquet"
    with FactorFile(path) as file:
        file.add(records)
    assert read_back(path) == records


def test_rows_are_written_a_group_at_a_time(tmp_path):
    path = tmp_path / "figures.parquet"
    with FactorFile(path) as file:
        for _ in range(3):
            file.add(made(ROWS_A_GROUP // 2 + 1))
            assert len(file._waiting) < ROWS_A_GROUP
        assert not path.exists()
    stored = pq.ParquetFile(path)
    assert stored.num_row_groups == 3
    assert stored.metadata.num_rows == file.rows == 3 * (ROWS_A_GROUP // 2 + 1)


def test_a_file_that_was_not_finished_leaves_what_was_there(tmp_path):
    path = tmp_path / "figures.parquet"
    path.write_bytes(b"before")
    with pytest.raises(AttributeError), FactorFile(path) as file:
        file.add([*made(3), *["no record"] * ROWS_A_GROUP])
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
    with FactorFile(path) as file:
        file.add(made(3))
    assert read_back(path) == made(3)
    assert list(tmp_path.iterdir()) == [path]


def test_where_nothing_can_be_written_it_is_told(tmp_path):
    with pytest.raises(ExportError, match=r"cannot write .*figures.parquet: .*No such file"):
        FactorFile(tmp_path / "nowhere" / "figures.parquet").__enter__()
