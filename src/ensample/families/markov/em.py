"""EM for a hidden Markov model on plain arrays: the passes of `expectation` from a given start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ensample.errors import InputError
from ensample.families.markov.expectation import Block, Chunk, block, chunked, expected_statistics, pattern_of
from ensample.families.markov.packing import Packing, similar
from ensample.families.markov.trellis import Chain
from ensample.families.mixture.components import Components
from ensample.families.mixture.covariance import Moments, structure_named
from ensample.families.mixture.forms import Form


@dataclass(frozen=True)
class Fit:
    """What was found: float64, in hmmlearn's shapes, with the log-likelihood before each iteration.

    `means` and `covariances` are None for classes, `emissions` [states, classes] for numbers.
    """

    start: Tensor
    transitions: Tensor
    means: Tensor | None
    covariances: Tensor | None
    emissions: Tensor | None
    log_likelihood: tuple[float, ...]


def fit_gaussian(
    x: np.ndarray | Tensor,
    lengths: Sequence[int] | np.ndarray,
    start: np.ndarray | Tensor,
    transitions: np.ndarray | Tensor,
    means: np.ndarray | Tensor,
    covariances: np.ndarray | Tensor,
    covariance: str = "diagonal",
    iterations: int = 20,
) -> Fit:
    """Iterations of EM with Gaussian emissions from a given start, on complete rows; maximum likelihood.

    Arguments:
        x: the steps of all sequences, one after the other [steps, d].
        lengths: of the sequences, in sum the steps.
        start: probabilities [states].
        transitions: probabilities [states, states], from row to column.
        means: [states, d].
        covariances: [states, d, d] for "full", [d, d] for "tied", [states, d] for "diagonal", [states] for "spherical".
        covariance: the structure.
        iterations: how many.

    Raises:
        InputError: the structure is unknown, or the lengths do not add up to the steps.

    Example:
        >>> x = np.array([[0.0], [0.1], [5.0], [0.2], [5.1], [5.2]])
        >>> half = np.full((2, 2), 0.5)
        >>> fit = fit_gaussian(x, [3, 3], half[0], half, np.array([[0.0], [5.0]]), np.ones((2, 1)), iterations=3)
        >>> fit.means.round(decimals=1).flatten().tolist()
        [0.1, 5.1]
    """
    structure, rows = structure_named(covariance), torch.as_tensor(x)
    blocks = [_block(structure.form, packing, rows[at]) for packing, at in _packings(lengths, len(rows))]
    mean = torch.as_tensor(means, dtype=torch.float64)
    wide = structure.widen(torch.as_tensor(covariances, dtype=torch.float64), mean)
    emit = Components(torch.zeros(len(mean), dtype=torch.float64), mean, wide, {}, {})
    chain, trace = _chain(start, transitions), []
    for _ in range(iterations):
        found = expected_statistics(structure, chain, emit, blocks)
        trace.append(float(found["log_prob"]))
        moments = Moments(found["count"], found["observed"], found["first"], found["second"])
        mean = moments.means(emit.means)
        none = torch.zeros(mean.shape[1], dtype=torch.float64)
        wide = structure.pool(moments, mean, emit.covariances, none)
        emit = Components(emit.log_weights, mean, wide, {}, {})
        chain = _updated(found)
    return Fit(chain.start, chain.transitions, mean, structure.narrow(wide), None, tuple(trace))


def fit_categorical(
    codes: np.ndarray | Tensor,
    lengths: Sequence[int] | np.ndarray,
    start: np.ndarray | Tensor,
    transitions: np.ndarray | Tensor,
    emissions: np.ndarray | Tensor,
    iterations: int = 20,
) -> Fit:
    """The same for steps that are classes: `codes` [steps] int64, `emissions` [states, classes].

    Example:
        >>> half = np.full((2, 2), 0.5)
        >>> fit = fit_categorical(np.array([0, 0, 1, 1]), [2, 2], half[0], half, np.array([[0.9, 0.1], [0.1, 0.9]]))
        >>> fit.transitions.round(decimals=2).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    structure, column = structure_named("diagonal"), torch.as_tensor(codes, dtype=torch.int64)
    blocks = []
    for packing, at in _packings(lengths, len(column)):
        nothing = torch.zeros(len(at), 0, dtype=torch.float64)
        blocks.append(_block(structure.form, packing, nothing, column[at]))
    table = torch.as_tensor(emissions, dtype=torch.float64)
    chain, trace = _chain(start, transitions), []
    blank = torch.zeros(len(table), 0, dtype=torch.float64)
    for _ in range(iterations):
        logs = table.clamp(min=1e-300).log()
        emit = Components(torch.zeros(len(table), dtype=torch.float64), blank, blank, {0: logs}, {})
        found = expected_statistics(structure, chain, emit, blocks)
        trace.append(float(found["log_prob"]))
        table, chain = _shares(found["classes.0"]), _updated(found)
    return Fit(chain.start, chain.transitions, None, None, table, tuple(trace))


def _packings(lengths: Sequence[int] | np.ndarray, steps: int) -> list[tuple[Packing, Tensor]]:
    """Sequences in blocks of similar length, with the rows of x in packed order."""
    sizes = torch.as_tensor(np.asarray(lengths), dtype=torch.int64)
    if int(sizes.sum()) != steps or bool((sizes < 0).any()):
        seen = f"{int(sizes.sum()):,} steps by lengths, {steps:,} rows"
        raise InputError("The lengths of the sequences add up to the rows.", "lengths", seen, "count them again")
    starts = sizes.cumsum(0) - sizes
    found = []
    for rows in similar(sizes):
        packing = Packing.of(sizes[rows])
        found.append((packing, starts[rows[packing.rows]] + packing.steps))
    return found


def _block(form: Form, packing: Packing, x: Tensor, column: Tensor | None = None) -> Block:
    chunks = []
    for sizes, at in chunked(packing):
        codes = {} if column is None else {0: column[at]}
        chunks.append(Chunk(sizes, (pattern_of(form, x[at], codes=codes),)))
    return block(chunks)


def _chain(start: np.ndarray | Tensor, transitions: np.ndarray | Tensor) -> Chain:
    first, moves = (torch.as_tensor(p, dtype=torch.float64) for p in (start, transitions))
    return Chain.of(first, moves)


def _updated(found: dict[str, Tensor]) -> Chain:
    return Chain.of(_shares(found["start"]), _shares(found["transitions"]))


def _shares(counts: Tensor) -> Tensor:
    return counts / counts.sum(-1, keepdim=True)
