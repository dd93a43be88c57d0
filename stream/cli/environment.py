"""What a command starts from: the settings of the environment, with the addresses of a running local stack.

A local stack writes `addresses.json` into its data folder ({"brokers": …, "redis_url": …}) and removes it when it
stops. A setting in the environment comes before it.
"""

import json
import os
from typing import Final

import typer

from schemas.settings import Settings, load, unknown_variables

ADDRESSES_FILE: Final = "addresses.json"


def current_settings() -> Settings:
    """Read the settings; a variable with our prefix that is no setting is told on stderr.

    Raises SettingsError with a line for each setting that is wrong.
    """
    for variable, meant in unknown_variables(os.environ).items():
        hint = f"; did you mean {meant}?" if meant else ""
        typer.echo(f"smart: {variable} is no setting{hint} ('smart config' lists them)", err=True)
    settings = load()
    try:
        addresses = json.loads((settings.data_dir / ADDRESSES_FILE).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return settings
    known = {name: str(addresses[name]) for name in ("brokers", "redis_url") if name in addresses}
    return load(**known)
