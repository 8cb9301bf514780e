"""Learning by gradients: one loop over a list of players, whatever the family.

A run is a pure function of (family, records, seed, budget in steps or epochs): the order of the rows depends on
(seed, epoch, index) alone and the noise of a step on (seed, step, setbacks) alone, so a run that goes on from a
checkpoint ends where the unbroken one would have, to the bit.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from ensample.budget import Clock
from ensample.errors import Interrupted
from ensample.events import Batch, coordinates
from ensample.families.base import Fitted, GradientFamily, Player, Prepares, SizesSteps
from ensample.families.training import Training
from ensample.kinds.records import Records
from ensample.nets.machine import careful_products, machine, operations_per_row, threads_for
from ensample.nets.random import seeded
from ensample.run import Progress, Run
from ensample.train.checkpoint import Learner
from ensample.train.guards import LOWER, SETBACKS, gave_up
from ensample.train.optimisers import shrink
from ensample.train.schedule import factor
from ensample.train.warm import warm_module

WINDOW = 20
"""Steps between two looks at the losses (one host synchronisation), and the least between two checkpoints."""
PART = "gradients"
"""Name of the checkpoint in the run folder."""


MOST_HELD, HELD_CELLS, FEWEST_HELD = 2048, 2**19, 256
"""Most rows held out to look at, and most cells of them: of large records fewer are held, but so many in any case."""


def fit_by_gradients(
    family: GradientFamily,
    records: Records,
    seed: int,
    run: Run,
    start: Fitted | None = None,
    save_every: float = 20.0,
) -> Any:
    """Train a gradient family and give its module with the best averaged weights, in evaluation mode.

    It goes on from `start` if there is one. At least `save_every` seconds lie between two checkpoints, if the run has a
    folder.

    Raises:
        TrainingError: the loss stays non-finite or keeps jumping after several returns to a good state.
        Interrupted: Ctrl-C in a run with a folder. Without one, the model reached so far is returned with a warning.
    """
    options = training(family)
    module = family.build(records, seed) if start is None else warm_module(family, records, seed, start)
    loop = Loop(family, module, options, records, seed, run)
    with machine(threads_for(operations_per_row(module), loop.order.size)):
        saved = time.monotonic()
        try:
            for _ in loop.windows():
                if time.monotonic() - saved >= save_every:
                    loop.save()
                    saved = time.monotonic()
        except KeyboardInterrupt:
            loop.stop()
        loop.learner.take_best()
    return module.eval()


class Loop:
    """Steps, windows of steps, looks at the held-out rows."""

    def __init__(
        self, family: GradientFamily, module: nn.Module, options: Training, records: Records, seed: int, run: Run
    ) -> None:
        records = family.prepared(records) if isinstance(family, Prepares) else records
        self.family, self.module, self.options, self.records, self.run = family, module, options, records, run
        self.players: tuple[Player, ...] = family.players(module)
        self.seed = seed
        learn, held = _parts(records, options, seed)
        rows = family.rows_of_step(records) if isinstance(family, SizesSteps) else options.batch_size
        self.order = Order(learn, min(rows, len(learn)), seed)
        self.held = records.select(held).batch() if len(held) else None
        self.learner = Learner.begin(module, self.players, options, seed)
        passes = 5 * len(held) // rows  # a look costs a third of a training pass: keep it below a tenth
        self.look_every = WINDOW * max(1, -(-passes // WINDOW))
        self.good = self.learner.state()
        if (kept := run.kept(PART)) is not None:
            self.good = (kept[0], {key: value for key, value in kept[1].items() if key != "seconds"})
            self.learner.restore(self.good)
            run.clock = Clock(run.clock.budget, max(run.clock.seconds, kept[1]["seconds"]))
        self.held_loss: float | None = None

    def windows(self) -> Iterator[None]:
        """Learn until the budget is used up or nothing more is gained; yields after each good window.

        At least one step is made, however short the budget.
        """
        over = self._over() and self.learner.facts.step > 0
        if self.held is not None and self.learner.facts.step == 0:
            self._look(self.held)  # what it starts from may be the best there is
            self.good = self.learner.state()
        while not over and not self.learner.facts.stopped:
            what, facts = self.learner.guard.trouble(*self._steps()), self.learner.facts
            over = self._over()
            if what is not None:
                if facts.setbacks == SETBACKS or (over and self.good[1]["step"] == 0):
                    raise gave_up(what, facts.step, facts.setbacks, self.options.learning_rate * facts.scale)
                self.learner.set_back(self.good)
                over = self._over()
                continue
            if self.held is not None and (facts.step % self.look_every == 0 or over):
                self._look(self.held)
            self.good = self.learner.state()
            self._report()
            yield
        self.save()

    def save(self) -> None:
        """Keep the last good state in the run folder."""
        arrays, facts = self.good
        self.run.keep(PART, arrays, {**facts, "seconds": self.run.clock.seconds})

    def stop(self) -> None:
        """After Ctrl-C: keep the last good state and say how to go on, or fall back to it."""
        self.learner.restore(self.good)
        if self.learner.facts.step == 0:
            raise KeyboardInterrupt
        if self.run.folder is not None:
            self.save()
            raise Interrupted(
                f"Stopped at step {self.learner.facts.step}; nothing is lost. Go on with: "
                f"ensample resume {self.run.folder}"
            )
        if self.held is not None:
            self._look(self.held)
        warnings.warn(
            f"Stopped at step {self.learner.facts.step}: the model is what was learned so far. "
            "A run with a folder (out=...) could go on.",
            stacklevel=4,
        )

    def _over(self) -> bool:
        step = self.learner.facts.step
        return self.run.clock.over(step, self._epochs(step))

    def _epochs(self, step: int) -> float:
        return step * sum(p.steps for p in self.players) / self.order.batches * self.records.looks

    def _rate(self, step: int) -> float:
        share = self.run.clock.share(step, self._epochs(step))
        rate = self.options.learning_rate * self.learner.facts.scale
        return rate * factor(self.options.schedule, share, step, self.options.warm_up)

    def _steps(self) -> tuple[list[Tensor], list[Tensor]]:
        """One window of turns of all players: their losses and gradient norms, still on the device."""
        losses, norms, facts = [], [], self.learner.facts
        generator = Generator()
        self.module.train()
        while True:
            generator.manual_seed(_mixed(self.seed, facts.step, facts.setbacks))
            rate, index = self._rate(facts.step), facts.step * sum(p.steps for p in self.players)
            for number, player in enumerate(self.players):
                for _ in range(player.steps):
                    batch = self.records.batch(self.order.rows(index))
                    loss, norm = self._step(number, rate * player.rate(), batch, generator)
                    losses.append(loss)
                    norms.append(norm)
                    index += 1
            self.learner.average.update(facts.step)
            facts.step += 1
            if facts.step % WINDOW == 0 or self._over():
                return losses, norms

    def _step(self, number: int, rate: float, batch: Batch, generator: Generator) -> tuple[Tensor, Tensor]:
        player, free = self.players[number], self.learner.free[number]
        with seeded(generator), self.autocast():
            inside = Generator().manual_seed(int(torch.randint(2**62, ())))
            loss = player.loss(batch, inside)
        free.take(torch.autograd.grad(loss, free.weights, allow_unused=True, materialize_grads=True))
        norm = nn.utils.clip_grad_norm_(free.leaves, self.options.clip)
        optimiser = self.learner.optimisers[number]
        optimiser.param_groups[0]["lr"] = rate
        optimiser.step()
        if self.options.l1:
            shrink(free.leaves, rate * self.options.l1)
        free.write()
        return loss.detach(), norm

    def autocast(self) -> AbstractContextManager[Any]:
        """Products in the precision asked for."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.options.precision == "bfloat16")

    def _look(self, held: Batch) -> None:
        """Held-out loss of the averaged weights; keep the best, lower the rate or stop when there is no gain."""
        facts, learner = self.learner.facts, self.learner
        self.held_loss = self._held_loss(held)
        if facts.best is None or self.held_loss < facts.best:
            facts.best, facts.waited = self.held_loss, 0
            learner.keep_best()
            return
        facts.waited += 1
        if facts.waited < self.options.patience:
            return
        facts.stopped = facts.reductions == self.options.reductions
        facts.reductions, facts.waited, facts.scale = facts.reductions + 1, 0, facts.scale * LOWER
        learner.return_to_best()
        learner.guard.forget()

    @torch.no_grad()
    def _held_loss(self, held: Batch) -> float:
        self.module.eval()
        generator = Generator().manual_seed(_mixed(self.seed, 0, -1))  # the same noise at each look
        with self.learner.average.in_place(), careful_products():
            parts = [
                self.family.validate(self.module, held.take(slice(i, i + 1024)), generator).sum()
                for i in range(0, len(held), 1024)
            ]
        loss = float(torch.stack(parts).sum()) / len(held)
        return loss if loss == loss else float("inf")

    def _report(self) -> None:
        step, clock = self.learner.facts.step, self.run.clock
        done, seconds = clock.share(step, self._epochs(step)), clock.seconds
        rate = step * self.order.size * sum(p.steps for p in self.players) / max(seconds, 1e-9)
        left = seconds * (1 - done) / done if done > 0 else None
        shown = self.learner.guard.mean if self.held_loss is None else self.held_loss
        self.run.report(Progress(self.family.name, done, shown, rate, left))


class Order:
    """Which rows batch number `index` holds, counted over all epochs: a pure function of (seed, epoch, index)."""

    def __init__(self, chosen: np.ndarray, size: int, seed: int) -> None:
        self.size, self.batches = size, max(1, len(chosen) // size)
        self._chosen, self._seed, self._epoch, self._shuffled = chosen, seed, -1, chosen

    def rows(self, index: int) -> np.ndarray:
        """Row numbers [size] int64. The rows left over at the end of an epoch fall out, others each time."""
        epoch, place = divmod(index, self.batches)
        if epoch != self._epoch:
            rng = np.random.default_rng([self._seed, 2, epoch])
            self._epoch, self._shuffled = epoch, rng.permutation(self._chosen)
        return self._shuffled[place * self.size : (place + 1) * self.size]


def training(family: GradientFamily) -> Training:
    """The options of a family that is a `Training`; defaults with what it says of itself for another."""
    if isinstance(family, Training):
        return family
    return Training(**{f.name: getattr(family, f.name) for f in fields(Training) if hasattr(family, f.name)})


def _parts(records: Records, options: Training, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers (to learn from, held out), each ascending.

    Nothing is held out of fewer than 20 rows.
    """
    rows, most = len(records), min(MOST_HELD, max(FEWEST_HELD, HELD_CELLS // max(1, coordinates(records.event))))
    return records.apart(0 if rows < 20 else min(int(rows * options.holdout), most), seed)


def _mixed(seed: int, step: int, setbacks: int) -> int:
    """A 32-bit seed that depends on all three (splitmix64 finaliser of Steele et al. 2014)."""
    z = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + (setbacks + 1) * 0x94D049BB133111EB) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return (z ^ (z >> 31)) % 2**32
