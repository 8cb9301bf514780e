"""Vector fields from noise to data, for numbers, with masked diffusion for classes: the options and how they learn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Generator, Tensor

from ensample.errors import InputError
from ensample.events import Batch, Continuous, Mixed
from ensample.families.base import Distribution, Player, at_least
from ensample.families.bins import Bins
from ensample.families.field.columns import FieldColumns, Way
from ensample.families.field.coupling import COUPLINGS
from ensample.families.field.learning import Learning, errors
from ensample.families.field.network import FieldNet
from ensample.families.field.parameterisation import PARAMETERISATIONS
from ensample.families.field.view import View, few_valued
from ensample.families.field.warp import Scale, Straight, Warp, fit_scales
from ensample.families.independent import part
from ensample.families.layout import Layout
from ensample.families.training import Training
from ensample.kinds.records import ABSENT, Records
from ensample.solvers.adaptive import DormandPrince
from ensample.solvers.paths import PATHS
from ensample.solvers.steps import (
    Ancestral,
    Ddim,
    DpmSolver,
    Euler,
    EulerMaruyama,
    Heun,
    Jump,
    RungeKutta,
    Solver,
)

SOLVERS: dict[str, Solver] = {
    "euler": Euler(),
    "heun": Heun(),
    "runge-kutta": RungeKutta(),
    "ddim": Ddim(),
    "dpm++2m": DpmSolver(2),
    "dpm++3m": DpmSolver(3),
    "ancestral": Ancestral(),
    "euler-maruyama": EulerMaruyama(),
    "adaptive": DormandPrince(),
    "jump": Jump(),
}
"""Solvers by their public names."""

CLASSES: dict[str, float | None] = {"ordered": None, "masked": 0.0, "flow": 2.0}
"""How classes are drawn, by public names: one after another, or in parallel with this rate of being hidden again."""

FINE = 0.05
"""Cells narrower than this share of a standard deviation are scored at their middle alone."""


@dataclass(frozen=True)
class Field(Training):
    """Numbers flow from noise along a learned vector field; classes appear one by one out of a mask.

    Numbers: with x_t = alpha(t) x_0 + sigma(t) e a network learns E[x_0 | x_t] by least squares, in whatever form
    `predict` says; dx/dt = alpha' E[x_0 | x_t] + sigma' E[e | x_t] carries noise to data (Ho et al. 2020; Song et al.
    2021; Karras et al. 2022; Lipman et al. 2023; Liu et al. 2023), and the integral of its divergence gives the
    log-density (Chen et al. 2018). Classes: masked diffusion (Austin et al. 2021; Sahoo et al. 2024), one network for
    every order. One network serves both: a row's numbers are drawn given its classes.

    Use it for numbers with smooth, bent dependencies, for records conditioned on any part of them, and where more
    time should give more quality. Not for exact likelihoods (a flow or an autoregressive network has them), nor for
    tables of few rows, where mixtures and boosted digits learn faster.

    Arguments:
        path: "linear" (flow matching), "cosine", "ddpm", "sub-vp", "ve" or "edm".
        predict: "edm" (preconditioned), "velocity", "noise", "data", "score", or "mean" (MeanFlow, for few steps).
        solver: "dpm++2m", "dpm++3m", "heun", "euler", "runge-kutta", "ddim", "ancestral", "euler-maruyama",
            "adaptive" (Dormand-Prince), or "jump" (with predict="mean").
        steps: of the solver, for each sample.
        coupling: of noise with rows in learning, "independent" or "optimal" (transport inside the batch).
        pooled: learn a noisy row from all rows of the batch that it may come from, not from its own alone (Xu et al.
            2023); with independent coupling.
        classes: drawn one after another ("ordered", as `log_prob` scores them), or several in each of `steps`: by
            masked diffusion ("masked"), or by a discrete flow that also takes some back ("flow": Campbell et al. 2024).
        together: noise classes and numbers at one time, and draw them so, instead of classes first. Draws are then
            only near to what `log_prob` scores.
        guidance: how far given fields pull draws, 1 as learned, more for sharper ones; the density follows.
        drop: share of rows that learn without the given fields, which guidance needs.
        evidence: share of rows that learn with a part of the row known, which completing rows needs.
        width, layers: hidden units; hidden layers after the first.
        waves: sines and cosines of each number that the network sees.
        tokens: numbers of at most so many different values are drawn as classes; 0 moves them all.
        knots: groups of rows behind each number's normal scores; 0 leaves numbers as they are.
        integration: Runge-Kutta steps of the ODE behind `log_prob`.

    How it is trained: the options of `Training`.

    Example:
        >>> from ensample.events import Lattice, Span
        >>> records = Records(Mixed((Span("a", Continuous(Lattice(0, 9))),)), np.arange(10)[:, None])
        >>> start = Field(width=8).build(records, seed=0)  # learning goes on from here
        >>> len(start.sample(5, Generator().manual_seed(0)))
        5
    """

    path: Literal["linear", "cosine", "ddpm", "sub-vp", "ve", "edm"] = "linear"
    predict: Literal["edm", "velocity", "noise", "data", "score", "mean"] = "edm"
    solver: Literal[
        "dpm++2m",
        "dpm++3m",
        "heun",
        "euler",
        "runge-kutta",
        "ddim",
        "ancestral",
        "euler-maruyama",
        "adaptive",
        "jump",
    ] = "dpm++2m"
    steps: int = 20
    coupling: Literal["independent", "optimal"] = "independent"
    pooled: bool = True
    classes: Literal["ordered", "masked", "flow"] = "ordered"
    together: bool = False
    guidance: float = 1.0
    drop: float = 0.1
    evidence: float = 0.3
    width: int = 128
    layers: int = 3
    waves: int = 16
    tokens: int = 128
    knots: int = 128
    integration: int = 24
    learning_rate: float = 4e-3
    batch_size: int = 512
    average: float = 0.999
    patience: int = 100

    name: ClassVar[str] = "field"
    distribution: ClassVar[type[Distribution]] = FieldColumns
    turns_windows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(
            self,
            steps=1,
            width=1,
            layers=0,
            waves=0,
            tokens=0,
            knots=0,
            integration=1,
            guidance=0.0,
            drop=0,
            evidence=0,
        )
        for option, table in (
            ("path", PATHS),
            ("predict", PARAMETERISATIONS),
            ("solver", SOLVERS),
            ("classes", CLASSES),
        ):
            _among(option, getattr(self, option), table)
        _among("coupling", self.coupling, COUPLINGS)
        if self.solver == "jump" and not PARAMETERISATIONS[self.predict].jumps:
            raise _clash("solver=jump", f"predict={self.predict}", 'say predict="mean"')
        if PARAMETERISATIONS[self.predict].jumps and self.path not in ("linear", "cosine"):
            raise _clash("predict=mean", f"path={self.path}", 'say path="linear"')
        self.check()

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Accepts every mixed event."""
        return None if isinstance(event, Mixed) else "a vector field needs a table of fields"

    def build(self, records: Records, seed: int) -> FieldColumns:
        """A field that carries noise to standard normal scores, and uniform classes."""
        columns = [_known(records.table[:, j]) for j in range(len(records.event))]
        view = View(records.event, few_valued(records.event, columns, self.tokens), ())
        moving = [columns[j] for j in view.numbers]
        view = replace(view, scales=fit_scales(_numbers(view), moving, self.knots))
        fine = all(_width(scale, cells) <= FINE for scale, cells in zip(view.scales, moving, strict=True))
        return self._module(view, records.given, fine, Generator().manual_seed(seed))

    def players(self, module: FieldColumns) -> tuple[Player, ...]:
        """Least squares for the field, cross-entropy for the classes."""
        learning = self._learning(module)
        fresh = _Dequantised(module)
        return (
            Player(
                "network", lambda b, g: errors(module.net, fresh(b, g), learning, g).mean(), tuple(module.parameters())
            ),
        )

    def validate(self, module: FieldColumns, batch: Batch, generator: Generator) -> Tensor:
        """Loss [rows] of the field itself, with noise drawn as in learning."""
        return errors(
            module.net, _Dequantised(module)(batch, generator), self._learning(module), generator, slopes=False
        )

    def restore(
        self, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> FieldColumns:
        """Inverse of `FieldColumns.arrays`."""
        binned = {int(name.split(".")[1]) for name in arrays if name.startswith("bins.")}
        view = View(event, {j: Bins.restore(part(part(arrays, "bins"), str(j))) for j in sorted(binned)}, ())
        scales: tuple[Scale, ...] = tuple(
            Warp(arrays[f"knots.{i}"], arrays[f"shares.{i}"]) if self.knots else Straight(number.lattice)
            for i, number in enumerate(_numbers(view))
        )
        module = self._module(replace(view, scales=scales), given, bool(arrays["fine"]), Generator())
        module.net.load_state_dict(part(arrays, "weights"))
        return module.eval()

    def _module(self, view: View, given: Mixed | None, fine: bool, generator: Generator) -> FieldColumns:
        width = 0 if given is None else Layout(given).width
        net = FieldNet(
            len(view.numbers),
            view.sizes,
            width + (width > 0),
            width=self.width,
            layers=self.layers,
            rates=self.waves,
            times=1 + PARAMETERISATIONS[self.predict].jumps,
            fine=fine,
            generator=generator,
        )
        way = Way(
            PATHS[self.path],
            PARAMETERISATIONS[self.predict],
            SOLVERS[self.solver],
            self.steps,
            self.guidance if width else 1.0,
            self.together,
            self.integration,
            CLASSES[self.classes],
        )
        return FieldColumns(view, given, fine, net, way)

    def _learning(self, module: FieldColumns) -> Learning:
        predict = PARAMETERISATIONS[self.predict]
        return Learning(
            module.view,
            PATHS[self.path],
            predict,
            COUPLINGS[self.coupling],
            self.evidence,
            self.drop,
            self.together,
            self.pooled and self.coupling == "independent",
        )


@dataclass(frozen=True)
class _Dequantised:
    """Rows with each number at a fresh uniform place inside its cell (Uria, Murray and Larochelle 2013)."""

    module: FieldColumns

    def __call__(self, batch: Batch, generator: Generator) -> Any:
        offset = torch.rand(batch.cells.shape, generator=generator, dtype=torch.float64) - 0.5
        return self.module.seen(batch, offset)


def _numbers(view: View) -> list[Continuous]:
    events = [view.event.spans[j].event for j in view.numbers]
    return [event for event in events if isinstance(event, Continuous)]


def _width(scale: Scale, cells: np.ndarray) -> float:
    """Mean width of a cell in standard deviations, over some of the rows."""
    some = torch.from_numpy(cells[:: max(1, len(cells) // 1000)])
    return float(scale.log_slope(some).exp().mean()) if len(some) else 0.0


def _known(column: np.ndarray) -> np.ndarray:
    known: np.ndarray = column[column != ABSENT]
    return known


def _among(option: str, value: str, table: dict[str, Any]) -> None:
    if value not in table:
        raise InputError(
            "An option must be in its range.", f"field, {option}", repr(value), f"choose one of {', '.join(table)}"
        )


def _clash(option: str, other: str, fix: str) -> InputError:
    return InputError("Options must fit together.", f"field, {option}", other, fix)
