"""A fitted variational autoencoder of sequences of classes."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ensample.events import UNKNOWN_LENGTH, Batch, Mixed, Ragged, concatenate
from ensample.families.base import Guarantee, RaggedDistribution
from ensample.families.layout import given_flat, given_width
from ensample.families.sequences.autoregressive.model import check_whole
from ensample.families.sequences.autoregressive.sliding import Sliding
from ensample.families.sequences.autoregressive.writing import Written
from ensample.families.sequences.drawing import AT_ONCE, drawn, nothing
from ensample.families.vae.latents import NARROWEST, WIDEST
from ensample.nets.machine import careful_products, operations
from ensample.nets.mlp import Affine
from ensample.nets.sequences.encoder import Encoder
from ensample.nets.sequences.tokens import TokenNet
from ensample.nets.transformer import rms

TOKENS = 4_096
"""Tokens of one pass of scoring."""
TOKENS_KEPT = 2**17
"""Tokens of which keys and values are kept at once, in drawing."""
SHORTEST = 16
"""Records are scored in lengths of this, twice, four times ... this."""


class Reader(nn.Module):
    """What there is to a record: the mean over its tokens of what an `Encoder` makes of them, [rows, width].

    Arguments:
        classes: of a step; the mark that ends a record is one more.
        encoder: the blocks.
        width: of the tokens.
        given: width of the given fields.
    """

    def __init__(self, classes: int, encoder: Encoder, width: int, given: int) -> None:
        super().__init__()
        self.encoder, self.width = encoder, width
        self.table = nn.Parameter(torch.randn((classes + 1) * width) * 0.5)
        self.given = nn.Parameter(torch.randn(given, width) * 0.5) if given else None

    def forward(self, tokens: Tensor, lengths: Tensor, cond: Tensor) -> Tensor:
        """Of tokens [rows, steps] the first `lengths` [rows], at least one of each, are read."""
        x = F.embedding(tokens, self.table.view(-1, self.width))
        x = rms(x if self.given is None else x + (cond @ self.given)[:, None])
        there = torch.arange(tokens.shape[1]) < lengths[:, None]
        out = rms(self.encoder(x, there)) * there[:, :, None]
        mean: Tensor = out.sum(1) / lengths[:, None]
        return mean


class VaeSequences(nn.Module, RaggedDistribution):
    """p(x | given) = integral of p(z) product over t of p(x_t | x_<t, z, given) dz, a record's end its last factor.

    `log_prob` is the evidence lower bound, `E_q log p(x | z) - KL(q(z | x) || p(z))`, the second part in closed form,
    the first as the mean over `points` fixed draws of z. What is read of a record is all of it, however long.
    """

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "bound", "encode": "estimate"}
    missing: Tensor
    longest: Tensor
    points: Tensor
    context: Tensor

    def __init__(self, event: Ragged, given: Mixed | None, reader: Reader, shape: Affine, net: TokenNet) -> None:
        super().__init__()
        self.event, self.given, self.reader, self.shape, self.net = event, given, reader, shape, net
        self.register_buffer("missing", torch.zeros((), dtype=torch.float64))
        for name in ("longest", "points", "context"):
            self.register_buffer(name, torch.ones((), dtype=torch.int64))

    @property
    def latent_width(self) -> int:
        """Numbers of a place."""
        return self.shape.out_features // 2

    @property
    def operations_per_row(self) -> float:
        """Multiplications of a record's way through both networks."""
        steps = max(2, self.event.max_length + 1)
        tokens, width = torch.zeros(1, steps, dtype=torch.int64), given_width(self.given)
        return operations(
            lambda: (
                self.reader(tokens, torch.tensor([steps]), torch.zeros(1, width)),
                self.net(tokens, torch.zeros(1, width + self.latent_width)),
            )
        )

    def tokens(self, batch: Batch, steps: int | None = None) -> tuple[Tensor, Tensor]:
        """Classes and the mark behind them, int64 [rows, steps], 0 from there on; and how many there are, [rows]."""
        assert batch.lengths is not None
        lengths = batch.lengths.clamp(min=0)
        steps = steps or int(lengths.max()) + 1
        cells = F.pad(batch.cells[:, :, 0], (0, max(0, steps - batch.cells.shape[1])))[:, :steps]
        place = torch.arange(steps)
        tokens = torch.where(place < lengths[:, None], cells, 0)
        return torch.where(place == lengths[:, None], self.net.mark, tokens), lengths + 1

    def posterior(self, tokens: Tensor, lengths: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log scale of q(z | x), [rows, dims] each."""
        mean, log_scale = self.shape(self.reader(tokens, lengths, cond)).chunk(2, 1)
        return mean, log_scale.clamp(NARROWEST, WIDEST)

    def nats(self, inputs: Tensor, tokens: Tensor, lengths: Tensor, z: Tensor, cond: Tensor) -> Tensor:
        """-log p(x_t | inputs before t, z) [rows, steps], 0 behind the records."""
        shown = F.pad(inputs[:, :-1], (1, 0), value=self.net.mark)
        logits = self.net(shown, torch.cat([cond, z], 1))
        nats = F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), reduction="none").view(tokens.shape)
        return torch.where(torch.arange(tokens.shape[1]) < lengths[:, None], nats, 0.0)

    @torch.no_grad()
    def log_prob(self, batch: Batch) -> Tensor:
        """A lower bound of the log-probability of each record, its end included, nats [rows] float64.

        A record of unknown length is integrated out, 0.

        Raises:
            InputError: a step inside a record is unset.
        """
        return self._scored(batch, ("told", "kl"))

    @torch.no_grad()
    def divergence(self, batch: Batch) -> Tensor:
        """KL(q(z | x), p(z)) of each record, nats [rows] float64: how much z says of it; 0 where it is ignored."""
        return -self._scored(batch, ("kl",))

    def _scored(self, batch: Batch, parts: tuple[str, ...]) -> Tensor:
        assert batch.lengths is not None
        check_whole(batch)
        there = torch.log1p(-self.missing) if "told" in parts else torch.zeros((), dtype=torch.float64)
        total = torch.where(batch.lengths >= 0, there, torch.log(self.missing) if "told" in parts else 0.0)
        total = torch.where(batch.lengths == UNKNOWN_LENGTH, 0.0, total)
        noise = normal_points(self.latent_width, int(self.points))
        for rows, tokens, lengths, cond in self._blocks(batch):
            with careful_products():
                mean, log_scale = self.posterior(tokens, lengths, cond)
                score = -divergence(mean, log_scale).sum(1, dtype=torch.float64)
                for point in noise if "told" in parts else ():
                    z = mean + log_scale.exp() * point
                    told = self.nats(tokens, tokens, lengths, z, cond)
                    score = score - told.sum(1, dtype=torch.float64) / len(noise)
            total.index_add_(0, rows, score[: len(rows)])
        return total

    def _blocks(self, batch: Batch) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Rows, tokens, lengths and given fields of records of similar length, always as many together."""
        assert batch.lengths is not None
        size = torch.full_like(batch.lengths, SHORTEST)
        while bool((size <= batch.lengths).any()):
            size = torch.where(size <= batch.lengths, 2 * size, size)
        cond = given_flat(self.given, batch)
        for steps in sorted(set(size[batch.lengths >= 0].tolist())):
            each = max(1, TOKENS // steps)
            for rows in ((size == steps) & (batch.lengths >= 0)).nonzero()[:, 0].split(each):
                filled = rows[torch.arange(each).clamp(max=len(rows) - 1)]
                tokens, lengths = self.tokens(batch.take(filled), steps)
                yield rows, tokens, lengths, cond[filled]

    @torch.no_grad()
    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new records: z from the prior, then class after class until the end, or `longest`."""
        return self._from(torch.randn(n, self.latent_width, generator=generator), generator, cond, float(self.missing))

    @torch.no_grad()
    def encode(self, batch: Batch) -> Tensor:
        """The middle of each record's posterior, float32 [rows, latent_width]; that of the prior for a missing one."""
        check_whole(batch)
        out = torch.zeros(len(batch), self.latent_width)
        for rows, tokens, lengths, cond in self._blocks(batch):
            with careful_products():
                out[rows] = self.posterior(tokens, lengths, cond)[0][: len(rows)]
        return out

    @torch.no_grad()
    def decode(self, latent: Tensor, generator: Generator, cond: Batch | None = None) -> Batch:
        """A record drawn given each place [rows, latent_width]."""
        return self._from(latent, generator, cond, 0.0)

    def _from(self, z: Tensor, generator: Generator, cond: Batch | None, missing: float) -> Batch:
        parts = []
        for start in range(0, len(z), each := max(1, min(AT_ONCE, TOKENS_KEPT // int(self.context)))):
            rows = slice(start, min(len(z), start + each))
            own = None if cond is None else cond.take(rows)
            at = At(self, z[rows])
            parts.append(drawn(at, len(at.z), int(self.longest), missing, generator, own))
        return concatenate(parts) if parts else nothing(0, cond)

    def arrays(self) -> dict[str, Tensor]:
        """All weights, the share of missing records, and how records are drawn and scored."""
        return dict(self.state_dict())

    def facts(self) -> dict[str, Any]:
        """Sizes that were chosen by the records."""
        return {"width": self.net.trunk.width, "layers": len(self.reader.encoder.blocks), "context": int(self.context)}


class At:
    """The decoder at some places: a `Continues`.

    Arguments:
        model: the autoencoder.
        z: a place for each record [rows, width].
    """

    def __init__(self, model: VaeSequences, z: Tensor) -> None:
        self.model, self.z = model, z

    def continuation(self, prompts: Batch) -> Written:
        """Records that begin with these, one for each place."""
        cond = torch.cat([given_flat(self.model.given, prompts), self.z], 1)
        return Written.of(self.model.net, Sliding(int(self.model.context)), prompts, cond)


def divergence(mean: Tensor, log_scale: Tensor) -> Tensor:
    """KL(N(mean, scale) || N(0, 1)) of each number, nats.

    Example:
        >>> divergence(torch.tensor([0.0, 1.0]), torch.zeros(2)).tolist()
        [0.0, 0.5]
    """
    return 0.5 * (mean.square() + (2 * log_scale).exp() - 1) - log_scale


@functools.cache
def normal_points(dims: int, count: int) -> Tensor:
    """So many quasi-random standard normal points (Sobol, scrambled), [count, dims]; the same each time."""
    engine = torch.quasirandom.SobolEngine(dims, True, 0)  # type: ignore[no-untyped-call]
    points = engine.draw(count, dtype=torch.float64).clamp(1e-9, 1 - 1e-9)
    normal: Tensor = torch.special.ndtri(points).to(torch.float32)
    return normal
