"""Law 16: break one line at a time in a copy of the package and see the suite go red.

    python -m tests.mutants            # all
    python -m tests.mutants mixture    # those whose file or change contains the word

Each mutant flips a sign, drops a factor or ignores a knob, and names the tests that must notice. Prints a line for each
and, at the end, one JSON line with the counts; exit status 1 if any survives.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Mutant:
    """Replace `old` (which stands exactly once in `file`) by `new`; `tests` must fail."""

    file: str
    old: str
    new: str
    tests: str


LAWS = "tests/laws"
INFER = "tests/infer"
MUTANTS = [
    Mutant("events.py", "return -0.5 * torch.log1p", "return 0.5 * torch.log1p", LAWS),
    Mutant(
        "events.py", "return (position - self.shift) / self.scale", "return (position + self.shift) / self.scale", LAWS
    ),
    Mutant("events.py", "inside |= (cells >= low) & (cells <= high)", "inside |= (cells >= low)", INFER),
    Mutant(
        "families/bins.py",
        "inside = torch.log1p(-escape) - torch.log(",
        "inside = torch.log1p(-escape) + torch.log(",
        LAWS,
    ),
    Mutant("families/bins.py", "torch.log(escape / sides)", "torch.log(escape)", LAWS),
    Mutant("families/independent.py", "torch.log(counts / counts.sum())", "torch.log(counts / counts.max())", LAWS),
    Mutant("families/chain.py", "weight[rows] += extra", "pass", INFER),
    Mutant("families/chain.py", "known[:, j] = exists", "known[:, j] = True", INFER),
    Mutant(
        "infer/likelihood.py",
        "density + distribution.event.log_slope(batch.cells, batch.mask, shift)",
        "density",
        INFER,
    ),
    Mutant("infer/condition.py", "u < torch.exp(weight - self.top)", "u < 1.0", INFER),
    Mutant("infer/impute.py", "share = torch.softmax(weight, 1)", "share = torch.ones_like(weight)", INFER),
]


def survives(mutant: Mutant) -> bool:
    """Whether the named tests pass although the line is broken."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for part in ("src", "tests", "pyproject.toml"):
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, work / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, work / part)
        path = work / "src" / "ensample" / mutant.file
        text = path.read_text(encoding="utf-8")
        if text.count(mutant.old) != 1:
            raise SystemExit(f"{mutant.file}: {mutant.old!r} stands {text.count(mutant.old)} times, wanted once")
        path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
        environment = {
            **os.environ,
            "PYTHONPATH": str(work / "src"),
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *mutant.tests.split()]
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):
            raise SystemExit(f"{mutant.file}: the tests did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.returncode == 0


def main(words: Sequence[str]) -> int:
    """Run the mutants that match all words."""
    chosen = [m for m in MUTANTS if all(word in f"{m.file} {m.old}" for word in words)]
    with ThreadPoolExecutor(2) as pool:
        outcome = list(pool.map(survives, chosen))
    for mutant, alive in zip(chosen, outcome, strict=True):
        print(f"{'SURVIVES' if alive else 'killed  '} {mutant.file}: {mutant.old}  ->  {mutant.new}")
    print(json.dumps({"mutants": len(chosen), "killed": outcome.count(False), "survive": outcome.count(True)}))
    return int(any(outcome))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
