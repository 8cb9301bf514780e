"""Classes out of nothing, against a joint that is known: three columns that hang together, exact logits."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from scipy import stats
from torch import Tensor

from ensample.solvers.masked import in_order, unmask

SIZES = (2, 3, 2)
ROWS = 20_000


def joint() -> Tensor:
    """p [2, 3, 2]: the second column follows the first, the third is nearly their parity."""
    p = torch.tensor([[8, 3, 1], [1, 4, 7]], dtype=torch.float64)[:, :, None].repeat(1, 1, 2)
    parity = (torch.arange(2)[:, None] + torch.arange(3)) % 2
    p = p * torch.where(torch.arange(2) == parity[:, :, None], 0.9, 0.1)
    return p / p.sum()


def logits(codes: Tensor, known: Tensor) -> list[Tensor]:
    """Exact log p of each column given the known ones of each row."""
    states = torch.cartesian_prod(*(torch.arange(size) for size in SIZES))
    agrees = ((codes[:, None] == states) | ~known[:, None]).all(2)
    weight = agrees * joint().flatten()
    out = []
    for j, size in enumerate(SIZES):
        out.append((weight @ torch.nn.functional.one_hot(states[:, j], size).to(torch.float64)).log())
    return out


def drawn(steps: int, churn: float, codes: Tensor, known: Tensor) -> Tensor:
    generator, free = torch.Generator().manual_seed(steps), ~known
    for now, later in pairwise(torch.linspace(1.0, 0.0, steps + 1).tolist()):
        codes, known = unmask(
            logits(codes, known), torch.where(known, codes, 0), known, now, later, generator, free=free, churn=churn
        )
    assert bool(known.all())
    return codes


def counts(codes: Tensor) -> Tensor:
    return torch.bincount(codes @ torch.tensor([6, 2, 1]), minlength=12)


def nothing() -> tuple[Tensor, Tensor]:
    return torch.zeros(ROWS, 3, dtype=torch.int64), torch.zeros(ROWS, 3, dtype=torch.bool)


def distance(found: Tensor, p: Tensor) -> float:
    return 0.5 * float((found / found.sum() - p.flatten()).abs().sum())


def test_the_product_rule_has_no_error():
    codes, _ = in_order(lambda c, k, j: logits(c, k)[j], *nothing(), torch.Generator().manual_seed(0))
    assert stats.chisquare(counts(codes), joint().flatten() * ROWS).pvalue > 1e-3


def test_one_step_draws_every_column_alone():
    p = joint()
    alone = p.sum((1, 2))[:, None, None] * p.sum((0, 2))[:, None] * p.sum((0, 1))
    codes = drawn(1, 0.0, *nothing())
    assert stats.chisquare(counts(codes), alone.flatten() * ROWS).pvalue > 1e-3
    assert distance(counts(codes), p) > 0.3


@pytest.mark.parametrize("churn", [0.0, 2.0])
def test_the_error_of_parallel_steps_falls_with_their_number(churn):
    far, near = (distance(counts(drawn(steps, churn, *nothing())), joint()) for steps in (6, 48))
    assert near < 0.025 and near < 0.2 * far


@pytest.mark.parametrize("churn", [0.0, 2.0])
def test_the_masked_share_is_that_of_the_time(churn):
    generator, codes, known = torch.Generator().manual_seed(0), *nothing()
    same = [torch.zeros(ROWS, size) for size in SIZES]
    for now, later in pairwise([1.0, 0.7, 0.4, 0.1]):
        codes, known = unmask(same, codes, known, now, later, generator, free=torch.ones_like(known), churn=churn)
        assert float((~known).double().mean()) == pytest.approx(later, abs=0.01)


def test_what_was_known_stays_and_is_followed():
    codes, known = nothing()
    codes[:, 1], known[:, 1] = 2, True
    made = drawn(24, 2.0, codes, known)
    assert bool((made[:, 1] == 2).all())
    p = joint()[:, 2]
    found = torch.bincount(made[:, 0] * 2 + made[:, 2], minlength=4)
    assert distance(found, p / p.sum()) < 0.02
