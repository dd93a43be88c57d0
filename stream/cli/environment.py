"""What a command starts from: the settings of the environment, with what a running local stack tells.

A stack that runs on the data folder tells its addresses there, and settings that its workers have; a setting in the
environment comes before them.
"""

import os

import typer

from schemas.settings import Settings, load, unknown_variables
from stream.local.folder import running_addresses


def current_settings() -> Settings:
    """Read the settings; a variable with our prefix that is no setting is told on stderr.

    Raises SettingsError with a line for each setting that is wrong, FolderError where the data folder is damaged.
    """
    for variable, meant in unknown_variables(os.environ).items():
        hint = f"; did you mean {meant}?" if meant else ""
        typer.echo(f"smart: {variable} is no setting{hint} ('smart config' lists them)", err=True)
    settings = load()
    addresses = running_addresses(settings.data_dir)
    if addresses is None:
        return settings
    return load(brokers=addresses.bootstrap_servers, redis_url=addresses.redis_url, **addresses.settings)
