"""Files of profiles of users: JSON lines, a record each."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from processors.decode.fields import RefusedError
from processors.decode.profiles import decode_profile
from schemas.profile import Profile
from schemas.refusals import Code
from stream.files import InputFiles

_AT_A_TIME: Final = 5_000


def read_profiles(files: InputFiles, refused: Counter[Code]) -> Iterator[list[Profile]]:
    """The profiles of files, some at a time; counts by code the lines that are none."""
    some: list[Profile] = []
    for line in filter(None, map(bytes.strip, files.lines())):
        try:
            some.append(decode_profile(line))
        except RefusedError as error:
            refused[error.code] += 1
        if len(some) == _AT_A_TIME:
            yield some
            some = []
    if some:
        yield some
