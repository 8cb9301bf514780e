"""An encoder with a decoder of `transformers` as a network over classes that looks at another sequence of classes."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from ensample.errors import InputError
from ensample.families.sequences.pretrained.network import ALIKE, NEVER, PROBED, PretrainedNet, unfit


@dataclass(frozen=True)
class Read:
    """What the encoder makes of sources [rows, places, width], and which places are no padding [rows, places] int64."""

    states: Tensor
    there: Tensor

    def take(self, rows: Tensor) -> Read:
        """Those of these rows."""
        return Read(self.states[rows], self.there[rows])


@dataclass
class Alike:
    """Rows of one length: their decoder needs no padding, whatever places mean to it.

    `rows` are their numbers among all, `cache` is what the decoder has computed of them.
    """

    rows: Tensor
    cache: Any
    source: Read

    def take(self, wanted: Tensor) -> Alike:
        """Copies of those that are wanted [new rows], numbered as there."""
        chosen, place = (wanted[:, None] == self.rows).nonzero(as_tuple=True)
        cache = _shell(self.cache)
        cache.batch_select_indices(place)
        return Alike(chosen, cache, self.source.take(place))


def _shell(cache: Any) -> Any:
    """A cache over the same tensors, which are replaced and never changed: both go on by themselves."""
    made = copy.copy(cache)
    made.is_updated = dict(cache.is_updated)
    for side in ("self_attention_cache", "cross_attention_cache"):
        part = copy.copy(getattr(cache, side))
        part.layers = [copy.copy(layer) for layer in part.layers]
        setattr(made, side, part)
    return made


class Remembered:
    """What the network has computed of some rows, those of each length together."""

    def __init__(self, net: PretrainedTranslator, parts: list[Alike]) -> None:
        self.net, self.parts = net, parts

    def step(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """States [rows, width] and logits [rows, classes + 1] behind one more token of every row, [rows]."""
        found = []
        for part in self.parts:
            state, following, part.cache = self.net.run_on(tokens[part.rows][:, None], part.source, part.cache)
            found.append((state, following))
        order = torch.cat([part.rows for part in self.parts]).argsort()
        states, logits = (torch.cat(each)[order] for each in zip(*found, strict=True))
        return states, logits

    def take(self, rows: Tensor) -> Self:
        """A memory of these rows, which goes on by itself."""
        return type(self)(self.net, [taken for part in self.parts if len((taken := part.take(rows)).rows)])


class PretrainedTranslator(PretrainedNet):
    """Logits of p(x_t | x_<t, source) by a checkpoint: see `PretrainedNet`.

    A source [rows, places] int64 holds classes, the mark (one more than its classes) behind the last, and then -1, as
    in `ensample.nets.sequences.translator`. The encoder reads it between the tokens that the tokenizer puts around it.

    Arguments:
        network: an encoder with a decoder of `transformers`.
        begin: numbers of the tokens that the decoder begins with; the last one stands for the mark.
        end: number of the token that ends a text.
        before, behind: numbers of the tokens around a source.
        places: most tokens of a source, those around it included; None for any number.
        never: numbers of the tokens that are never written.
    """

    def __init__(
        self,
        network: Any,
        begin: tuple[int, ...],
        end: int,
        before: tuple[int, ...],
        behind: tuple[int, ...],
        places: int | None,
        never: tuple[int, ...] = (),
    ) -> None:
        super().__init__(network, begin[-1], end)
        self.prefix, self.before, self.behind, self.places = begin[:-1], before, behind, places
        self.never = never

    def forward(self, tokens: Tensor, cond: Tensor | None = None) -> Tensor:
        """Logits [rows, tokens, classes + 1] float32 of what follows each token; `cond` are the sources."""
        assert cond is not None
        source = self.encoded(cond)
        out = self.network(
            encoder_outputs=(source.states,),
            attention_mask=source.there,
            decoder_input_ids=self._behind_prefix(tokens),
            use_cache=False,
        )
        return self.columns(out.logits[:, len(self.prefix) :])

    def columns(self, logits: Tensor) -> Tensor:
        """As of the class above; what is never written has no probability."""
        if not self.never:
            return super().columns(logits)
        shown = logits.clone()
        shown[..., list(self.never)] = NEVER
        return super().columns(shown)

    def encoded(self, cond: Tensor) -> Read:
        """Sources as the encoder reads them.

        Raises:
            InputError: one is longer than the encoder reads.
        """
        lengths = (cond >= 0).sum(1) - 1
        front, back = len(self.before), len(self.behind)
        whole = lengths + front + back
        if self.places is not None and int(whole.max()) > self.places:
            raise InputError(
                "An encoder reads so many tokens.",
                "given",
                f"a text of {int(lengths.max())}",
                f"cut texts to {self.places - front - back} tokens",
            )
        numbers = torch.zeros(len(cond), int(whole.max()), dtype=torch.int64)
        numbers[:, :front] = torch.tensor(self.before, dtype=torch.int64)
        inner = cond[:, : int(lengths.max())]
        inner = torch.where(torch.arange(inner.shape[1]) < lengths[:, None], inner, 0)
        numbers[:, front : front + inner.shape[1]] = inner + (inner >= self.end).to(torch.int64)
        for j, number in enumerate(self.behind):
            numbers[torch.arange(len(cond)), front + lengths + j] = number
        there = (torch.arange(numbers.shape[1]) < whole[:, None]).to(torch.int64)
        out = self.network.get_encoder()(input_ids=numbers, attention_mask=there)
        return Read(out.last_hidden_state, there)

    @torch.no_grad()
    def read(self, tokens: Tensor, lengths: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Remembered]:
        """As of the class above; the sources are read once."""
        assert cond is not None
        source, parts, found = self.encoded(cond), [], []
        for length in sorted(set(lengths.tolist())):
            rows = (lengths == length).nonzero()[:, 0]
            own = source.take(rows)
            _, following, cache = self.run_on(tokens[rows, :length], own, None)
            parts.append(Alike(rows, cache, own))
            found.append(following)
        order = torch.cat([part.rows for part in parts]).argsort()
        return torch.cat(found)[order], Remembered(self, parts)

    @torch.no_grad()
    def run_on(self, tokens: Tensor, source: Read, cache: Any) -> tuple[Tensor, Tensor, Any]:
        """States [rows, width] and logits [rows, classes + 1] behind the last of some tokens, and the cache then."""
        out = self.network(
            encoder_outputs=(source.states,),
            attention_mask=source.there,
            decoder_input_ids=self._behind_prefix(tokens) if cache is None else self.numbers(tokens),
            past_key_values=cache,
            use_cache=True,
            output_hidden_states=True,
        )
        return out.decoder_hidden_states[-1][:, -1].float(), self.columns(out.logits[:, -1]), out.past_key_values

    def _behind_prefix(self, tokens: Tensor) -> Tensor:
        """Tokens of the checkpoint behind those that the decoder begins with."""
        front = torch.tensor(self.prefix, dtype=torch.int64).expand(len(tokens), -1)
        return torch.cat([front, self.numbers(tokens)], 1)

    @torch.no_grad()
    def check(self) -> None:
        """Try whether the decoder is causal, and writes on from its memory as it reads.

        Raises:
            CapabilityError: it does not.
        """
        tokens = torch.arange(PROBED)[None] % self.mark
        source = torch.cat([tokens, torch.tensor([[self.mark]])], 1)
        other = tokens.clone()
        other[:, -1] = (tokens[:, -1] + 1) % self.mark
        sort = str(self.network.config.model_type)
        try:
            whole, changed = self(tokens, source), self(other, source)
            _, memory = self.read(tokens[:, :-1], torch.tensor([PROBED - 1]), source)
            written = memory.take(torch.tensor([0])).step(tokens[:, -1])[1]
        except Exception as error:  # other networks have other arguments
            raise unfit(sort, f"a decoder of another sort ({error})") from error
        if not torch.allclose(whole[:, :-1], changed[:, :-1], atol=ALIKE):
            raise unfit(sort, "what comes later changes what came before")
        if not torch.allclose(written, whole[:, -1], atol=ALIKE):
            raise unfit(sort, "it goes on from its memory otherwise than it reads")
