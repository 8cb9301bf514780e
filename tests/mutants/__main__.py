"""Run the mutants.

    python -m tests.mutants            # all
    python -m tests.mutants mixture    # those whose file or change contains the word

Prints a line for each and, at the end, one JSON line with the counts; exit status 1 if any survives.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants import Mutant, gather

ROOT = Path(__file__).resolve().parents[2]


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
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *shlex.split(mutant.tests)]
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):
            raise SystemExit(f"{mutant.file}: the tests did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.returncode == 0


def main(words: Sequence[str]) -> int:
    """Run the mutants that match all words."""
    chosen = [m for m in gather() if all(word in f"{m.file} {m.old}" for word in words)]
    outcome = []
    with ThreadPoolExecutor(2) as pool:
        for mutant, alive in zip(chosen, pool.map(survives, chosen), strict=True):
            outcome.append(alive)
            print(f"{'SURVIVES' if alive else 'killed  '} {mutant.file}: {mutant.old}  ->  {mutant.new}", flush=True)
    print(json.dumps({"mutants": len(chosen), "killed": outcome.count(False), "survive": outcome.count(True)}))
    return int(any(outcome))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
