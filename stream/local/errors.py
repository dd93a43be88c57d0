"""What can keep the local stack from running. Each message says what is wrong, where, and what to do."""

from schemas.errors import SmartError


class StackError(SmartError):
    """The local stack cannot do what it was asked for."""


class InstallError(StackError):
    """A part of the stack is not on this machine and could not be brought here."""


class JavaMissingError(StackError):
    """There is no Java runtime that the broker could run on."""


class PortTakenError(StackError):
    """A port that was asked for belongs to another program."""


class FolderError(StackError):
    """The data folder cannot be used: unwritable, damaged, or of another version."""


class FolderInUseError(FolderError):
    """Another stack runs on this data folder."""


class DiskFullError(StackError):
    """There is too little room where the data folder lies."""


class ChildFailedError(StackError):
    """A program of the stack ended instead of becoming ready, or did not become ready in time."""
