"""The E step of a hidden Markov model: expected counts of states, transitions and steps (Baum, Petrie et al. 1970).

Emissions are those of `families.mixture`: the logarithm of every component's density is linear in features of a step,
so the emissions of some steps cost one matrix product, the recursions of `trellis` follow, and one product goes back.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ensample.events import Batch
from ensample.families.base import Statistics
from ensample.families.markov.packing import Packing
from ensample.families.markov.trellis import Chain, forward, smooth
from ensample.families.mixture.components import Components, Layout, by_pattern, cell_noise
from ensample.families.mixture.covariance import Covariance
from ensample.families.mixture.forms import Form

CHUNK = 4096
"""Short steps are handled together up to this number of positions: products are wide, and stay in the cache."""

SMALL = 8192
"""Below this number of positions the recursions of a block run in float64: nothing to gain from less."""

_LN2 = math.log(2.0)


@dataclass(frozen=True)
class Pattern:
    """Positions of a chunk in which the same coordinates are known.

    Arguments:
        positions: which, int64; None for all of them.
        known: which of all numbers are known.
        features: of the known numbers (`Form.features`), float64 [features, positions].
        codes: classes [positions] by Discrete column.
    """

    positions: Tensor | None
    known: tuple[int, ...]
    features: Tensor
    codes: dict[int, Tensor]


@dataclass(frozen=True)
class Chunk:
    """Some consecutive steps of a block: the sequences of each, and what is known of all of them."""

    sizes: tuple[int, ...]
    patterns: tuple[Pattern, ...]

    def steps(self, packed: Tensor) -> list[Tensor]:
        """Views [rows, sequences] of every step."""
        return [packed] if len(self.sizes) == 1 else list(torch.split(packed, list(self.sizes), 1))


@dataclass(frozen=True)
class Block:
    """Packed sequences; `nbytes` is the memory that they take."""

    chunks: tuple[Chunk, ...]
    nbytes: int

    @property
    def positions(self) -> int:
        """Steps of all sequences together."""
        return sum(sum(chunk.sizes) for chunk in self.chunks)


def block_of(form: Form, layout: Layout, batch: Batch, ridge: float) -> Block:
    """A ragged batch; the noise of a number is the variance of a uniform value in its cell, plus the ridge."""
    assert batch.lengths is not None
    packing = Packing.of(batch.lengths)
    cells, mask = batch.cells[packing.rows, packing.steps], batch.mask[packing.rows, packing.steps]
    numbers, classes = layout.numbers, tuple(layout.classes)
    values, noise = layout.event.values(cells)[:, numbers], cell_noise(layout, cells, ridge)
    chunks = []
    for sizes, at in chunked(packing):
        patterns = []
        for rows, known in by_pattern(mask[at]):
            here = at.start + rows
            which = tuple(i for i, j in enumerate(numbers) if known[j])
            codes = {j: cells[here, j] for j in classes if known[j]}
            x = values[here][:, which]
            positions = None if len(rows) == at.stop - at.start else rows
            patterns.append(pattern_of(form, x, noise[here][:, which], codes, which, positions))
        chunks.append(Chunk(sizes, tuple(patterns)))
    return block(chunks)


def block(chunks: Sequence[Chunk]) -> Block:
    """Of these chunks."""
    size = sum(8 * (p.features.numel() + len(p.codes) * p.features.shape[1]) for c in chunks for p in c.patterns)
    return Block(tuple(chunks), size)


def chunked(packing: Packing) -> list[tuple[tuple[int, ...], slice]]:
    """Consecutive steps of at most `CHUNK` positions, or one step: their sizes, and the positions."""
    found: list[tuple[tuple[int, ...], slice]] = []
    sizes: list[int] = []
    start = 0
    for size, following in itertools.pairwise([*packing.sizes, CHUNK + 1]):
        sizes.append(size)
        if sum(sizes) + following > CHUNK:
            found.append((tuple(sizes), slice(start, start + sum(sizes))))
            start, sizes = start + sum(sizes), []
    return found


def pattern_of(
    form: Form,
    x: Tensor,
    noise: Tensor | None = None,
    codes: dict[int, Tensor] | None = None,
    known: tuple[int, ...] | None = None,
    positions: Tensor | None = None,
) -> Pattern:
    """From the known numbers [positions, known], with the variance of each about its value."""
    which = tuple(range(x.shape[1])) if known is None else known
    out = torch.empty(form.size(len(which)), len(x), dtype=torch.float64)
    wide = None if noise is None else noise.T.to(torch.float64).contiguous()
    form.features(x.T.to(torch.float64).contiguous(), wide, out)
    return Pattern(positions, which, out, codes or {})


def zero_statistics(states: int, components: Components) -> Statistics:
    """Of no records."""
    return {
        "log_prob": torch.zeros((), dtype=torch.float64),
        "rows": torch.zeros((), dtype=torch.float64),
        "start": torch.zeros(states, dtype=torch.float64),
        "transitions": torch.zeros(states, states, dtype=torch.float64),
        "count": torch.zeros_like(components.log_weights),
        "observed": torch.zeros_like(components.means),
        "first": torch.zeros_like(components.means),
        "second": torch.zeros_like(components.covariances),
        **{f"classes.{j}": torch.zeros_like(table) for j, table in components.tables.items()},
    }


def expected_statistics(
    structure: Covariance, chain: Chain, components: Components, blocks: Sequence[Block]
) -> Statistics:
    """Additive statistics of some blocks; "rows" is left at 0. `components` are those of all states, state by state.

    A record is its cells: each number is uniform inside its cell. "log_prob" is the lower bound of the log-likelihood
    in which the log-density of each step under each component is averaged over that; EM raises exactly this.
    """
    pass_ = _Pass(structure.form, chain, components)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # these products are too small to share: two threads wait for each other
    try:
        for part in blocks:
            pass_.add(part)
        return pass_.total()
    finally:
        torch.set_num_threads(threads)


class _Pass:
    """One E step over some blocks, under fixed parameters."""

    def __init__(self, form: Form, chain: Chain, components: Components) -> None:
        self.form, self.chain, self.components = form, chain, components
        self.states = len(chain.start)
        self.bits = {j: table / _LN2 for j, table in components.tables.items()}
        self.natural: dict[tuple[int, ...], Tensor] = {}
        self.sums: dict[tuple[int, ...], Tensor] = {}
        self.statistics = zero_statistics(self.states, components)

    def add(self, part: Block) -> None:
        """The recursions of one block, and the sums that they weigh."""
        if not part.chunks:
            return
        dtype = torch.float32 if part.positions >= SMALL else torch.float64
        chain = Chain(self.chain.start.to(dtype), self.chain.transitions.to(dtype))
        tops, joints, b = list[Tensor](), list[Tensor](), list[Tensor]()
        for chunk in part.chunks:
            joint, top = self._scaled(chunk, dtype)
            tops.append(top)
            joints.append(joint)
            b += chunk.steps(self._of_states(joints[-1]))
        predicted, scales = forward(chain, b)
        total = self.statistics
        total["log_prob"] += torch.cat(scales).to(torch.float64).log().sum() + torch.cat(tops).sum() * _LN2
        total["transitions"] += smooth(chain, b, predicted)
        total["start"] += b[0].sum(1)
        done = 0
        for chunk, joint in zip(part.chunks, joints, strict=True):
            gamma = b[done : done + len(chunk.sizes)]
            done += len(chunk.sizes)
            self._weigh(chunk, joint, gamma[0] if len(gamma) == 1 else torch.cat(gamma, 1))

    def total(self) -> Statistics:
        """Of all blocks that were added; unknown coordinates by their expectation."""
        own, total = self.components, self.statistics
        for key, sums in self.sums.items():
            known = torch.tensor(key, dtype=torch.int64)
            moments = self.form.moments(sums, len(key))
            observed, first, second = self.form.complete(moments, own.means, own.covariances, known)
            for name, part in (("count", moments[0]), ("observed", observed), ("first", first), ("second", second)):
                total[name] += part
        return total

    def _of_states(self, joint: Tensor) -> Tensor:
        """From components [k, positions] to states [s, positions], a tensor of its own unless they are the same."""
        return joint if len(joint) == self.states else joint.view(self.states, -1, joint.shape[1]).sum(1)

    def _scaled(self, chunk: Chunk, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """`weight * p(known coordinates)` [k, positions], at most one, and log2 [positions] of what was divided by."""
        first = chunk.patterns[0]
        if first.positions is None and not first.known and len(first.codes) == 1:  # one look into a small table
            ((j, column),) = first.codes.items()
            table = self._weights(()) + self.bits[j]
            top = table.amax(0)
            return (table - top).exp2_().to(dtype).index_select(1, column), top[column]
        joint = self._joint(chunk)
        top = joint.amax(0)
        return joint.sub_(top).to(dtype).exp2_(), top

    def _joint(self, chunk: Chunk) -> Tensor:
        """log2 of `weight * p(known coordinates)` of every component, [k, positions]."""
        joint = torch.empty(0)
        for pattern in chunk.patterns:
            bits = torch.mm(self._weights(pattern.known), pattern.features)
            for j, column in pattern.codes.items():
                bits += self.bits[j][:, column]
            if pattern.positions is None:
                return bits
            if not len(joint):
                joint = bits.new_empty(len(bits), sum(chunk.sizes))
            joint[:, pattern.positions] = bits
        return joint

    def _weights(self, known: tuple[int, ...]) -> Tensor:
        if known not in self.natural:
            own, at = self.components, torch.tensor(known, dtype=torch.int64)
            marginal = self.form.marginal(own.covariances, at)
            self.natural[known] = self.form.natural(own.log_weights, own.means[:, at], marginal).weights
        return self.natural[known]

    def _weigh(self, chunk: Chunk, joint: Tensor, gamma: Tensor) -> None:
        """Sums of features and classes, weighed by the responsibility of each component."""
        share = gamma
        if len(joint) != self.states:
            of_state = self._of_states(joint).clamp(min=torch.finfo(joint.dtype).tiny)
            share = (joint.view(self.states, -1, joint.shape[1]) * (gamma / of_state)[:, None]).view_as(joint)
        share = share.to(torch.float64)
        for pattern in chunk.patterns:
            part = share if pattern.positions is None else share[:, pattern.positions]
            if pattern.known not in self.sums:
                self.sums[pattern.known] = part.new_zeros(len(part), len(pattern.features))
            self.sums[pattern.known].addmm_(part, pattern.features.T)
            for j, column in pattern.codes.items():
                self.statistics[f"classes.{j}"].index_add_(1, column, part)
