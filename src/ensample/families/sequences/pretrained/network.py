"""A language model of `transformers` as a network over classes: the end has the last column, whatever it was."""

from __future__ import annotations

import copy
import inspect
from typing import Any, ClassVar, Self

import torch
from torch import Generator, Tensor, nn

from ensample.data.frames import optional
from ensample.errors import CapabilityError
from ensample.nets.random import seeded

PROBED = 4
"""Tokens on which a network shows that it is causal."""
NEVER = -1e9
"""Logit of what is never written."""
ALIKE = 1e-3
"""How far logits of the same place may differ by rounding."""


def network_of(config: dict[str, Any], generator: Generator, sourced: bool = False) -> Any:
    """The network that `transformers` makes of a configuration, float32, its weights drawn; nothing is downloaded.

    Arguments:
        config: as `config.json` has it.
        generator: of the weights.
        sourced: whether it is to be an encoder with a decoder, and not a causal language model.

    Raises:
        CapabilityError: the configuration is of no such model that is known to `transformers`, or asks for code of its
            own.
        MissingPackage: `transformers` is not installed.
    """
    plain = dict(config)
    if "auto_map" in plain:
        rule = "A checkpoint is data: no code that comes with it is run."
        raise CapabilityError(
            rule, "config.json, auto_map", str(plain["auto_map"]), "take one of a class that transformers has itself"
        )
    transformers = optional("transformers", "hub")
    sort = str(plain.pop("model_type", None))
    try:
        made = transformers.AutoConfig.for_model(sort, **plain)
        with seeded(generator):
            sorts = transformers.AutoModelForSeq2SeqLM if sourced else transformers.AutoModelForCausalLM
            return sorts.from_config(made, trust_remote_code=False).float()
    except Exception as error:  # classes of `transformers` raise of their own what they do not like
        raise unfit(sort, str(error).splitlines()[0] if str(error) else type(error).__name__) from error


def unfit(sort: str, seen: str) -> CapabilityError:
    """The error for a checkpoint of another sort of network."""
    return CapabilityError(
        "A checkpoint must be of a causal language model, or of an encoder with a decoder that writes texts.",
        f"config.json, model_type {sort!r}",
        seen,
        "take another one",
    )


class KeysAndValues:
    """What the network has computed of some rows: its cache, and which places of it are not padding [rows, places]."""

    def __init__(self, net: PretrainedNet, cache: Any, there: Tensor) -> None:
        self.net, self.cache, self.there = net, cache, there

    def step(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """States [rows, width] and logits [rows, classes + 1] behind one more token of every row, [rows]."""
        self.there = torch.cat([self.there, torch.ones_like(self.there[:, :1])], 1)
        return self.net.run(tokens[:, None], self.there, self.cache)[:2]

    def take(self, rows: Tensor) -> Self:
        """A memory of these rows, which goes on by itself."""
        cache = copy.deepcopy(self.cache)
        cache.batch_select_indices(rows)
        return type(self)(self.net, cache, self.there[rows])


class PretrainedNet(nn.Module):
    """Classes and the mark as the tokens of a checkpoint, its network, and its logits with the end in the last column.

    Class c is token c, from `end` on token c + 1. The mark is the token `begin` as an input, and `end` as an output.

    Arguments:
        network: a causal language model of `transformers`.
        begin, end: numbers of the tokens that begin and end a text.
    """

    more: ClassVar[int] = 0  # inputs that are no classes, as of `TokenNet`

    def __init__(self, network: Any, begin: int, end: int) -> None:
        super().__init__()
        self.network, self.begin, self.end = network, begin, end
        self.placed = "position_ids" in inspect.signature(network.forward).parameters
        self.mark = int(network.config.get_text_config().vocab_size) - 1

    def forward(self, tokens: Tensor, cond: Tensor | None = None) -> Tensor:
        """Logits [rows, tokens, classes + 1] float32 of what follows each of classes and marks [rows, tokens]."""
        return self.columns(self.network(input_ids=self.numbers(tokens), use_cache=False).logits)

    @torch.no_grad()
    def read(self, tokens: Tensor, lengths: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Any]:
        """Logits [rows, classes + 1] behind the last token of each row, and the memory to go on from; no gradients.

        Of tokens [rows, tokens] so many of each row are looked at as `lengths` [rows] says, from 1 on. Padding stands
        before them, so that all go on at the same place of the memory.
        """
        width = tokens.shape[1]
        place = torch.arange(width) - (width - lengths)[:, None]
        there = (place >= 0).to(torch.int64)
        _, following, cache = self.run(tokens.gather(1, place.clamp(min=0)), there, None)
        return following, KeysAndValues(self, cache, there)

    @torch.no_grad()
    def run(self, tokens: Tensor, there: Tensor, cache: Any) -> tuple[Tensor, Tensor, Any]:
        """States [rows, width] and logits [rows, classes + 1] behind the last of some tokens, and the cache then."""
        places = (there.cumsum(1) - 1).clamp(min=0)[:, there.shape[1] - tokens.shape[1] :]
        known = {"position_ids": places} if self.placed else {}
        out = self.network(
            input_ids=self.numbers(tokens),
            attention_mask=there,
            past_key_values=cache,
            use_cache=True,
            output_hidden_states=True,
            **known,
        )
        return out.hidden_states[-1][:, -1].float(), self.columns(out.logits[:, -1]), out.past_key_values

    def numbers(self, tokens: Tensor) -> Tensor:
        """Tokens of the checkpoint for classes and marks."""
        return torch.where(tokens == self.mark, self.begin, tokens + (tokens >= self.end).to(torch.int64))

    def columns(self, logits: Tensor) -> Tensor:
        """Logits of classes, and of the end in the last column, from those of tokens."""
        parts = (logits[..., : self.end], logits[..., self.end + 1 :], logits[..., self.end : self.end + 1])
        return torch.cat(parts, -1).to(torch.float32)

    def kept(self) -> dict[str, Tensor]:
        """The weights of the network by name; of tied ones only the first."""
        found: dict[int, tuple[str, Tensor]] = {}
        for name, weight in self.network.state_dict(keep_vars=True).items():
            found.setdefault(id(weight), (name, weight.detach()))
        return dict(found.values())

    @torch.no_grad()
    def check(self) -> None:
        """Try whether the network is causal, and writes on from its memory as it reads.

        Raises:
            CapabilityError: it does not.
        """
        tokens = torch.arange(PROBED)[None] % self.mark
        other = tokens.clone()
        other[:, -1] = (tokens[:, -1] + 1) % self.mark
        whole, changed = self(tokens), self(other)
        sort = str(self.network.config.model_type)
        if not torch.allclose(whole[:, :-1], changed[:, :-1], atol=ALIKE):
            raise unfit(sort, "what comes later changes what came before")
        try:
            _, memory = self.read(tokens[:, :-1], torch.tensor([PROBED - 1]))
            written = memory.take(torch.tensor([0])).step(tokens[:, -1])[1]
        except Exception as error:  # other memories than keys and values have other methods
            raise unfit(sort, f"a memory that is no list of keys and values ({error})") from error
        if not torch.allclose(written, whole[:, -1], atol=ALIKE):
            raise unfit(sort, "it goes on from its memory otherwise than it reads")
