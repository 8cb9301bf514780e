"""Mutants of families over series: windows as rows, their components, autoregressive networks over steps."""

from __future__ import annotations

from tests.mutants import Mutant

WINDOWS = "tests/families/test_windows.py"
COMPONENTS = "tests/families/test_components.py"
STEPS = "tests/families/sequences/test_steps.py"
LAWS = "tests/laws/test_ragged.py -k 'series and law_3'"
ROWS = "families/compose/windows.py"
AXES = "families/series/axes.py"
PACKAGE = "families/sequences/steps"
MUTANTS = [
    Mutant(ROWS, "(step * width + under[0], under[1])", "(under[0], under[1])", f"{WINDOWS} -k state_of_its_own"),
    Mutant(ROWS, "for first in firsts for limit in limits", "for first in firsts[:1] for limit in limits", WINDOWS),
    Mutant(
        "infer/impute.py",
        "fill(completing(distribution.row), row, within,",
        "fill(completing(distribution.row), row, [],",
        WINDOWS,
    ),
    Mutant(AXES, "variances.clamp(min=max(floor, 1e-12)).sqrt()", "variances.clamp(min=max(floor, 1e-12))", COMPONENTS),
    Mutant(
        AXES,
        "return float(torch.linalg.slogdet(self.turn).logabsdet)",
        "return -float(torch.linalg.slogdet(self.turn).logabsdet)",
        f"{COMPONENTS} -k densities",
    ),
    Mutant(
        "families/series/model.py",
        "density - len(self.axes.columns) * math.log(FINE)",
        "density",
        f"{COMPONENTS} -k by_cells",
    ),
    Mutant(
        f"{PACKAGE}/lags.py",
        "own = (self.span_of < span)",
        "own = (self.span_of <= span)",
        f"{STEPS} -k 'linear or later'",
    ),
    Mutant(
        f"{PACKAGE}/network.py",
        "earlier = self.lags.span_of[:, None] < torch.arange(spans)",
        "earlier = self.lags.span_of[:, None] <= torch.arange(spans)",
        f"{STEPS} -k law_3",
    ),
    Mutant(
        f"{PACKAGE}/network.py",
        "place + torch.exp(log_spread) * location",
        "place + location",
        f"{STEPS} -k several_pieces",
    ),
    Mutant(f"{PACKAGE}/drawing.py", "self.weight += torch.where(known, log_p, 0.0)", "pass", f"{STEPS} -k ends_are"),
    Mutant(
        f"{PACKAGE}/drawing.py",
        "max(self.first, step - self.net.lags.lags)",
        "max(0, step - self.net.lags.lags)",
        f"{STEPS} -k one_by_one",
    ),
    Mutant(
        f"{PACKAGE}/model.py",
        "torch.where(ends, logit, -logit)",
        "torch.where(ends, logit, logit)",
        LAWS,
    ),
    Mutant(f"{PACKAGE}/cuts.py", "int(count.max()) + beside", "int(count.max())", f"{STEPS} -k share"),
    Mutant(f"{PACKAGE}/cuts.py", "((place > 0) | (first == 0)[window])", "(place >= 0)", f"{STEPS} -k cut"),
]
