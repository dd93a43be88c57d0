"""Files are read plain or gzipped, one after another, and what cannot be read is told in words."""

import gzip

import pytest

from stream.files import InputFiles, UnreadableFileError


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_plain_and_gzipped_files_follow_each_other(tmp_path):
    plain = written(tmp_path, "a.csv", b"one\ntwo\n")
    packed = written(tmp_path, "b.data", gzip.compress(b"three\r\nfour"))
    files = InputFiles([plain, packed])
    assert list(files.lines()) == [b"one\n", b"two\n", b"three\r\n", b"four"]
    assert files.bytes_read == files.bytes_total == plain.stat().st_size + packed.stat().st_size


def test_bytes_that_are_no_text_do_not_stop_the_reading(tmp_path):
    files = InputFiles([written(tmp_path, "a.csv", b"caf\xe9,1\nnext\n")])
    assert list(files.text()) == ["caf\ufffd,1\n", "next\n"]


def test_an_empty_file_has_no_lines(tmp_path):
    assert list(InputFiles([written(tmp_path, "a", b"")]).lines()) == []


def test_a_missing_file_is_told_before_anything_is_read(tmp_path):
    with pytest.raises(UnreadableFileError, match=r"cannot read .*nowhere.csv: No such file"):
        InputFiles([written(tmp_path, "a", b"x\n"), tmp_path / "nowhere.csv"])


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(UnreadableFileError, match="directory"):
        InputFiles([tmp_path])


def test_a_broken_archive_is_told(tmp_path):
    packed = gzip.compress(b"".join(b"line %d\n" % n for n in range(5000)))
    with pytest.raises(UnreadableFileError, match="cannot read"):
        list(InputFiles([written(tmp_path, "a.gz", packed[:-20])]).lines())
