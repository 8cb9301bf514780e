"""A run that is killed or stopped at any moment and started again ends where the unbroken one ends, to the bit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ensample.budget import Budget, Clock
from ensample.errors import Interrupted
from ensample.run import Run
from ensample.storage import read_arrays
from ensample.train.gradients import WINDOW, fit_by_gradients
from tests.train.killable import main
from tests.train.toys import Toy, records

STEPS = 1_000
ROOT = Path(__file__).parents[2]


def started(folder: Path) -> subprocess.Popen[str]:
    """A run in a process of its own, past its first window."""
    command = [sys.executable, "-m", "tests.train.killable", str(folder), str(STEPS)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline(), "the run ended before its first window"
    return process


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    main(folder, STEPS)
    return read_arrays(folder / "final.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_killed_at_random_moments_it_ends_with_equal_bits(tmp_path, unbroken):
    chance, final = random.Random(0), tmp_path / "final.safetensors"
    kills = 0
    while kills < 3 and not final.exists():
        process = started(tmp_path)
        time.sleep(chance.random() * 0.4)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        process.stdout.close()
    assert kills, "no kill hit the run"
    main(tmp_path, STEPS)
    assert same(read_arrays(final), unbroken)
    assert not list(tmp_path.glob("*.tmp.safetensors"))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals")
def test_ctrl_c_saves_says_how_to_go_on_and_loses_nothing(tmp_path, unbroken):
    process = started(tmp_path)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 130
    assert f"ensample resume {tmp_path}" in said
    assert (tmp_path / "gradients.safetensors").exists()
    main(tmp_path, STEPS)
    assert same(read_arrays(tmp_path / "final.safetensors"), unbroken)


def stopping(after: int):
    """A report that presses Ctrl-C after so many windows."""
    seen = []

    def report(progress):
        seen.append(progress)
        if len(seen) == after:
            raise KeyboardInterrupt

    return report


def test_every_stop_of_a_run_is_harmless(tmp_path, unbroken):
    family = Toy(patience=2)
    for after in (1, 2, 7):
        with pytest.raises(Interrupted):
            fit_by_gradients(family, records(), 3, Run(Clock(Budget(steps=STEPS)), tmp_path, stopping(after)))
    resumed = fit_by_gradients(family, records(), 3, Run(Clock(Budget(steps=STEPS)), tmp_path))
    assert same(resumed.arrays(), unbroken)


def test_a_finished_run_is_not_learned_again(tmp_path, unbroken):
    main(tmp_path, STEPS)
    shown = []
    again = fit_by_gradients(Toy(patience=2), records(), 3, Run(Clock(Budget(steps=STEPS)), tmp_path, shown.append))
    assert not shown
    assert same(again.arrays(), unbroken)


def test_seconds_spent_before_a_stop_are_counted(tmp_path):
    with pytest.raises(Interrupted):
        fit_by_gradients(Toy(), records(), 0, Run(Clock(Budget(steps=STEPS), spent=50.0), tmp_path, stopping(2)))
    run = Run(Clock(Budget(seconds=50.0)), tmp_path)
    fit_by_gradients(Toy(), records(), 0, run)
    assert run.clock.seconds >= 50.0


def test_without_a_folder_the_model_reached_so_far_is_kept():
    run = Run(Clock(Budget(steps=STEPS)), report=stopping(7))
    with pytest.warns(UserWarning, match=f"Stopped at step {7 * WINDOW}"):
        net = fit_by_gradients(Toy(learning_rate=0.03), records(2_000), 0, run)
    start = Toy().build(records(), 0)
    held = records(500, seed=9).batch()
    assert float(net.nats(held).detach().mean()) < float(start.nats(held).detach().mean()) - 0.1
