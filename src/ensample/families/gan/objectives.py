"""What the two players of a generative adversarial network minimise, and the penalties that keep the critic smooth.

The critic gives a real number `C(x)`; for the objectives made of `softplus` it estimates the log odds
`log p(x) - log q(x)` of a real against a made row. Each objective takes the numbers of real and of made rows, paired,
[rows], and gives the mean loss of either player.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

Loss = Callable[[Tensor, Tensor], Tensor]
Score = Callable[[Tensor], Tensor]
Penalty = Callable[[Score, Tensor, Tensor, Generator], Tensor]


@dataclass(frozen=True)
class Objective:
    """Losses of both players as functions of (critic of real rows, critic of made rows), and the usual penalty.

    `level`: whether a constant added to the critic changes anything. `paired`: whether the generator's loss looks at
    real rows too.
    """

    critic: Loss
    generator: Loss
    penalty: str
    level: bool = True
    paired: bool = False


def log_odds(real: Tensor, made: Tensor) -> Tensor:
    """`-E_p log sigmoid(C) - E_q log sigmoid(-C)`, least where C is the log odds (Goodfellow et al. 2014)."""
    return (F.softplus(-real) + F.softplus(made)).mean()


def non_saturating(real: Tensor, made: Tensor) -> Tensor:
    """`-E_q log sigmoid(C)`: gradients stay large while the critic is sure (Goodfellow et al. 2014)."""
    return F.softplus(-made).mean()


def difference(real: Tensor, made: Tensor) -> Tensor:
    """`E_q C - E_p C`: minus the Wasserstein distance if the critic's slope is at most 1 (Arjovsky et al. 2017)."""
    return (made - real).mean()


def hinge(real: Tensor, made: Tensor) -> Tensor:
    """`E_p max(0, 1 - C) + E_q max(0, 1 + C)` (Lim and Ye 2017)."""
    return (F.relu(1 - real) + F.relu(1 + made)).mean()


def lowest(real: Tensor, made: Tensor) -> Tensor:
    """`-E_q C`, the generator against a Wasserstein or a hinge critic."""
    return -made.mean()


def squares(real: Tensor, made: Tensor) -> Tensor:
    """`E_p (C - 1)^2 + E_q C^2`: least squares to labels 1 and 0 (Mao et al. 2017)."""
    return (real - 1).square().mean() + made.square().mean()


def taken_for_real(real: Tensor, made: Tensor) -> Tensor:
    """`E_q (C - 1)^2`, the generator against the critic of least squares."""
    return (made - 1).square().mean()


def relativistic(real: Tensor, made: Tensor) -> Tensor:
    """`-E log sigmoid(C(x) - C(y))` of pairs (x real, y made) (Jolicoeur-Martineau 2019; Huang et al. 2024)."""
    return F.softplus(made - real).mean()


def likelihood(real: Tensor, made: Tensor) -> Tensor:
    """Maximum likelihood by importance weights: `-sum_i w_i C(y_i)` with `w = p/q` of the made rows, not followed back.

    With C the log odds its gradient is that of KL(p || q), since `d KL = -E_q[(p/q) dC(y)/dy dy]`; weights that add up
    to one over the batch lower the variance (Che et al. 2017, who push log q by them; here rows are followed back
    to the generator, as numbers allow and classes do by the straight-through estimate).
    """
    return -(importance(made) * made).sum()


def importance(made: Tensor) -> Tensor:
    """Weights `p/q` of made rows from their log odds, adding up to one, [rows]; they take no gradient.

    Example:
        >>> importance(torch.tensor([1.0, 3.0]).log()).mul(100).round().tolist()
        [25.0, 75.0]
    """
    return torch.softmax(made.detach(), 0)


OBJECTIVES = {
    "non-saturating": Objective(log_odds, non_saturating, "zero-centred"),
    "wasserstein": Objective(difference, lowest, "interpolated", level=False),
    "hinge": Objective(hinge, lowest, "zero-centred"),
    "relativistic": Objective(
        relativistic, lambda real, made: relativistic(made, real), "zero-centred", level=False, paired=True
    ),
    "least-squares": Objective(squares, taken_for_real, "none"),
    "likelihood": Objective(log_odds, likelihood, "zero-centred"),
}
"""Objectives by name."""


def slope(score: Score, rows: Tensor) -> Tensor:
    """Squared norm of the critic's gradient at each row, [rows]; itself differentiable by the critic's weights."""
    rows = rows.detach().requires_grad_(True)
    return slope_of(score(rows), rows)


def slope_of(scores: Tensor, rows: Tensor) -> Tensor:
    """The same from scores [rows] that are already there, of rows (vectors or pictures) that take a gradient."""
    (gradient,) = torch.autograd.grad(scores.sum(), rows, create_graph=True)
    return gradient.square().flatten(1).sum(1)


def zero_centred(score: Score, real: Tensor, made: Tensor, generator: Generator) -> Tensor:
    """`(E_p |C'|^2 + E_q |C'|^2) / 2`: R1 and R2 (Mescheder et al. 2018; both in Huang et al. 2024), a scalar."""
    return slope(score, torch.cat([real, made])).mean()


def interpolated(score: Score, real: Tensor, made: Tensor, generator: Generator) -> Tensor:
    """`E (|C'| - 1)^2` at uniform places between a real and a made row (Gulrajani et al. 2017), a scalar."""
    share = torch.rand(len(real), *(1,) * (real.dim() - 1), generator=generator)
    norm = (slope(score, torch.lerp(made, real, share)) + 1e-12).sqrt()
    return (norm - 1).square().mean()


PENALTIES: dict[str, Penalty] = {"zero-centred": zero_centred, "interpolated": interpolated}
"""Penalties of the critic by name."""
