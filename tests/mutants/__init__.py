"""Law 16: break one line at a time in a copy of the package and see the suite go red.

Each mutant flips a sign, drops a factor or ignores a knob, and names the tests that must notice. A module of this
package is a list of them, `MUTANTS`, for one part of the package.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """Replace `old` (which stands exactly once in `file`, below src/ensample) by `new`; `tests` must fail."""

    file: str
    old: str
    new: str
    tests: str


def gather() -> list[Mutant]:
    """The mutants of all modules of this package."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "__main__")
    return [mutant for name in names for mutant in importlib.import_module(f"{__name__}.{name}").MUTANTS]
