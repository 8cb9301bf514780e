"""Classes out of nothing: masked diffusion, whose noise takes classes away (Austin et al. 2021; Sahoo et al. 2024).

Codes are [rows, columns] int64 with a bool `known` of the same shape: a class that is not known is masked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor


def draw(logits: Tensor, generator: Generator) -> Tensor:
    """One class a row from logits [rows, classes], by the largest of noisy logits (Gumbel); int64 [rows]."""
    u = torch.rand(logits.shape, generator=generator, dtype=torch.float64)
    return (logits.to(torch.float64) - torch.log(-torch.log(u.clamp(1e-300, 1 - 1e-16)))).argmax(1)


def in_order(
    logits: Callable[[Tensor, Tensor, int], Tensor],
    codes: Tensor,
    known: Tensor,
    generator: Generator,
    exists: Callable[[Tensor, int], Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Unmask what is not known one column after another: the product rule, with no error of its own.

    `logits` takes codes, what is known, and the column, and gives [rows, classes] for that column alone; `exists`
    tells from the codes so far which rows have the column at all, bool [rows]: the others stay masked there.
    """
    codes, known = codes.clone(), known.clone()
    for j in range(codes.shape[1]):
        here = ~known[:, j] if exists is None else ~known[:, j] & exists(codes, j)
        new = draw(logits(codes, known, j), generator)
        codes[:, j] = torch.where(here, new, codes[:, j])
        known[:, j] |= here
    return codes, known


def unmask(
    logits: Sequence[Tensor],
    codes: Tensor,
    known: Tensor,
    now: float,
    later: float,
    generator: Generator,
    *,
    free: Tensor | None = None,
    churn: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """One step of the reverse process from masked share `now` to `later`: each column alone, all in parallel.

    A masked column is shown with probability (now - later) / now (MDLM's sampler). With `churn` r it is discrete flow
    matching from the masked state (Campbell et al. 2024; Gat et al. 2024): columns that are `free` are hidden again at
    the rate r, and as many more are shown, so that the masked share is the same; what was drawn too early is drawn
    anew. Columns shown together are drawn independently, so the error falls with the step.
    """
    again = min(churn * (now - later), later / (1 - now), 1.0) if free is not None and now < 1 else 0.0
    u = torch.rand(codes.shape, generator=generator)
    show = ~known & (u < (now - later + (1 - now) * again) / now)
    hide = torch.zeros_like(known) if free is None else known & free & (u < again)
    new = torch.stack([draw(part, generator) for part in logits], 1) if logits else codes
    return torch.where(show, new, codes), (known | show) & ~hide
