"""Learn the distribution behind any dataset: sample, score, impute, compare.

Example:
    >>> import ensample as en
    >>> en.__version__
    '0.1.0'

Names are imported when they are first used, so that `import ensample` and `ensample --help` cost milliseconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ensample import errors, families, worlds
    from ensample.budget import Budget
    from ensample.data.dataset import Dataset
    from ensample.data.samples import load as sample_data
    from ensample.data.schema import Schema
    from ensample.editing import restyle
    from ensample.fitting import fit, read, resume
    from ensample.judging import compare
    from ensample.model import Model
    from ensample.modelfile import load

__version__ = "0.1.0"

_HOME = {
    "read": "fitting.read",
    "fit": "fitting.fit",
    "resume": "fitting.resume",
    "load": "modelfile.load",
    "compare": "judging.compare",
    "restyle": "editing.restyle",
    "sample_data": "data.samples.load",
    "Model": "model.Model",
    "Dataset": "data.dataset.Dataset",
    "Schema": "data.schema.Schema",
    "Budget": "budget.Budget",
}
"""Public name -> where it is defined."""

_MODULES = ("errors", "families", "worlds")

__all__ = [
    "Budget",
    "Dataset",
    "Model",
    "Schema",
    "__version__",
    "compare",
    "errors",
    "families",
    "fit",
    "load",
    "read",
    "restyle",
    "resume",
    "sample_data",
    "worlds",
]


def __getattr__(name: str) -> Any:
    """Import a public name from the module that holds it."""
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _HOME:
        module, _, attribute = _HOME[name].rpartition(".")
        value = getattr(import_module(f"{__name__}.{module}"), attribute)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
