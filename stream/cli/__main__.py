"""`python -m stream.cli` is `smart`."""

from stream.cli.main import app

app()
