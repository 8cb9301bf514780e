"""Causal language models of `transformers`: options, how they are restored, tuned, or built anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Generator, Tensor

from ensample.errors import InputError
from ensample.events import MISSING_LENGTH, Batch, Discrete, Mixed, Ragged
from ensample.families.base import Distribution, Player, at_least
from ensample.families.sequences.autoregressive.sliding import Sliding
from ensample.families.sequences.drawing import longest_of
from ensample.families.sequences.pretrained.model import PretrainedSequences
from ensample.families.sequences.pretrained.network import PretrainedNet, network_of
from ensample.families.sequences.pretrained.rendered import RenderedNet
from ensample.families.sequences.pretrained.stored import asked, filled, learned, places_of
from ensample.families.sequences.training import not_of_classes
from ensample.families.training import Training
from ensample.kinds.records import Records
from ensample.kinds.sequences import Sequences
from ensample.kinds.windows import Windows

SMALL = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 192,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
"""What is built where there is no checkpoint, and no configuration is said."""

CONTEXT = 256
"""Classes that are looked back on, if nothing else is said."""

LOOKED_AT = 4_096
"""Held-out classes of one pass."""


@dataclass(frozen=True)
class Pretrained(Training):
    """p(text) = product over its tokens, and its end, by a causal language model of Hugging Face's `transformers`.

    `ensample.load` opens the folder of a checkpoint as a model of this family; `ensample.fit(data, start=model)` tunes
    all of its weights, and with `adapters` low-rank changes to its matrices (Hu et al. 2022). Take it where a
    checkpoint knows the language of the texts already. Without a checkpoint a network of `config` is built and learned
    from nothing: there `sequence-autoregressive` learns faster.

    Each text stands behind its token of beginning, or that of the end where there is no other, in learning as in
    scoring and writing. Its probability is that which the network gives to its tokens and to the end behind them; one
    that is longer than the context is scored, and written on, by windows that slide by half a context.

    Arguments:
        context: most tokens that are looked back on; those of the model that learning starts from, or 256.
        longest: most tokens of a drawn text; what has no end by then is cut. Of a checkpoint its context; else four
            times the longest text, from 64 to 4,096, or 1,024 where most texts are longer than that.
        config: what to build where there is no model to start from: a `config.json` as text, without its numbers of
            tokens. A small Llama if left out.
        batch_size: tokens of a step: it takes as many windows as hold them.

    How it is trained: the options of `Training`.

    Example:
        >>> Pretrained(adapters=8).learning_rate
        0.0001
    """

    context: int | None = None
    longest: int | None = None
    config: str = ""
    learning_rate: float = 1e-4
    optimiser: Literal["adamw", "adam", "sgd", "muon"] = "adamw"
    warm_up: int = 20
    weight_decay: float = 0.01
    batch_size: int = 2048
    average: float = 0.0
    holdout: float = 0.02

    name: ClassVar[str] = "pretrained"
    scores_parts: ClassVar[bool] = True
    distribution: ClassVar[type[Distribution]] = PretrainedSequences

    def __post_init__(self) -> None:
        at_least(self, context=2, longest=1)
        self.check()

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Refuses every table."""
        return "this network predicts the next token of texts and sequences; `autoregressive` learns tables"

    def refuses_sequences(self, event: Ragged, given: Mixed | None) -> str | None:
        """Accepts ordered sequences of one class a step, without given fields."""
        if (why := not_of_classes(event)) is not None:
            return why
        return "a checkpoint knows no given fields: take `sequence-autoregressive`" if given is not None else None

    def build(self, records: Records, seed: int) -> PretrainedSequences:
        """A network of `config` with weights drawn.

        Raises:
            InputError: every record is missing, or `config` is no JSON object.
            CapabilityError: it is of no causal language model.
            MissingPackage: `transformers` is not installed.
        """
        assert isinstance(records, Sequences)
        if not bool((records.lengths >= 0).any()):
            raise InputError("Learning needs records.", "the training data", "all of them are missing", "add some")
        step = records.event.element.spans[0].event
        assert isinstance(step, Discrete)
        context, mark = self.context or CONTEXT, step.classes
        tokens = {"vocab_size": mark + 1, "bos_token_id": mark, "eos_token_id": mark, "pad_token_id": None}
        config = {"max_position_embeddings": context, **asked(self.config, SMALL), **tokens}
        facts = {"config": config, "begin": mark, "end": mark, "context": context}
        module = self._module(records.event, facts, Generator().manual_seed(seed))
        module.longest.fill_(self.longest or longest_of(torch.from_numpy(records.lengths)))
        if records.event.missing:
            module.missing.fill_((records.lengths == MISSING_LENGTH).mean())
        return module

    def prepared(self, records: Sequences) -> Windows:
        """Windows of one stream of all records, no longer than that; of replies each record has its own."""
        there = records.lengths[records.lengths >= 0] + 1
        whole = there.max() if records.event.partly else there.sum()
        return Windows.of(records, min(self.context or CONTEXT, max(1, int(whole))), records.event.partly)

    def rows_of_step(self, records: Windows) -> int:
        """Windows of a step, which hold about `batch_size` tokens."""
        return max(1, round(self.batch_size / float((records.lengths - 1).mean())))

    def players(self, module: PretrainedSequences) -> tuple[Player, ...]:
        """Maximum likelihood, in nats a token."""

        def loss(batch: Batch, generator: Generator) -> Tensor:
            nats, there = self._nats(module, batch)
            return nats.sum() / there.sum()

        return (Player("network", loss, learned(module)),)

    def validate(self, module: PretrainedSequences, batch: Batch, generator: Generator) -> Tensor:
        """Nats a token, mean of each window [rows]."""
        parts = []
        for start in range(0, len(batch), at_once := max(1, LOOKED_AT // batch.cells.shape[1])):
            nats, there = self._nats(module, batch.take(slice(start, start + at_once)))
            parts.append(nats.sum(1) / there.sum(1))
        return torch.cat(parts)

    def _nats(self, module: PretrainedSequences, windows: Batch) -> tuple[Tensor, Tensor]:
        """Minus the log-probability of each target, 0 where there is none, and where there are, [rows, steps]."""
        if (steps := windows.cells.shape[1] - 1) > module.sliding.context:
            seen, most = f"windows of {steps} tokens", module.sliding.context
            rule = "Learning looks no further back than the model that it starts from."
            raise InputError(rule, "pretrained, context", seen, f"say context={most}")
        log_p, targets = module.log_p(windows)
        there = targets >= 0
        nats = -log_p.gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0]
        return torch.where(there, nats, 0.0), there

    def restore(
        self, event: Any, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> PretrainedSequences:
        """Inverse of `PretrainedSequences.arrays` and `facts`; `context` and `longest` of this family, if said."""
        module = self._module(event, {**facts, "context": self.context or facts["context"]}, Generator())
        filled(module.net, arrays)
        module.missing.copy_(arrays["missing"])
        module.longest.copy_(arrays["longest"] if self.longest is None else torch.tensor(self.longest))
        return module.eval()

    def _module(self, event: Ragged, facts: dict[str, Any], generator: Generator) -> PretrainedSequences:
        network = network_of(facts["config"], generator)
        most = places_of(network)
        if most and facts["context"] > most:
            seen = f"{facts['context']}, of a network of {most}"
            raise InputError("A network has so many places.", "pretrained, context", seen, f"say context={most}")
        begin, end = facts["begin"], int(facts["end"])
        net = RenderedNet(network, end) if begin is None else PretrainedNet(network, int(begin), end)
        return PretrainedSequences(event, net, Sliding(int(facts["context"])), facts["config"])
