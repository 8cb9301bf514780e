"""A run in a process of its own, to be killed: `python -m tests.train.killable FOLDER STEPS`; prints when it learns."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ensample.budget import Budget, Clock
from ensample.errors import Interrupted
from ensample.run import Progress, Run
from ensample.storage import write_arrays
from ensample.train.gradients import fit_by_gradients
from tests.train.toys import Toy, records


def main(folder: Path, steps: int) -> None:
    """Learn with a checkpoint at every window, slowly enough to be hit, and leave the weights in `final`."""

    def report(progress: Progress) -> None:
        print(progress.done, flush=True)
        time.sleep(0.01)

    run = Run(Clock(Budget(steps=steps)), folder, report)
    try:
        net = fit_by_gradients(Toy(patience=2), records(), 3, run, save_every=0.0)
    except Interrupted as stop:
        print(stop, flush=True)
        raise SystemExit(130) from None
    write_arrays(folder / "final.safetensors", net.arrays())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
