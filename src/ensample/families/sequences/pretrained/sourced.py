"""Encoders with a decoder of `transformers`: options, how they are restored, tuned, or built anew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Generator, Tensor

from ensample.errors import InputError
from ensample.events import MISSING_LENGTH, Batch, Mixed, Ragged
from ensample.families.base import Distribution, Player, at_least
from ensample.families.sequences.autoregressive.model import check_whole
from ensample.families.sequences.autoregressive.sliding import Sliding
from ensample.families.sequences.drawing import longest_of
from ensample.families.sequences.pretrained.family import CONTEXT
from ensample.families.sequences.pretrained.network import network_of
from ensample.families.sequences.pretrained.stored import Stored, asked, filled, learned, places_of
from ensample.families.sequences.pretrained.translator import PretrainedTranslator
from ensample.families.sequences.pretrained.writing import Writing
from ensample.families.sequences.training import not_of_classes
from ensample.families.sequences.translation.family import loss_of, nats_of
from ensample.families.sequences.translation.model import TranslatedSequences, classes_of
from ensample.families.training import Training
from ensample.kinds.records import Records
from ensample.kinds.sequences import Sequences
from ensample.kinds.windows import Windows
from ensample.storage import write_json

SMALL = {
    "model_type": "t5",
    "d_model": 64,
    "d_kv": 32,
    "d_ff": 128,
    "num_layers": 2,
    "num_heads": 2,
    "tie_word_embeddings": False,
}
"""What is built where there is no checkpoint, and no configuration is said."""


class PretrainedTranslations(Stored, TranslatedSequences):
    """p(x | source) = product over t of p(x_t | x_<t, source), with the end as its last factor.

    See `PretrainedTranslation`.
    """

    net: PretrainedTranslator  # type: ignore[assignment]  # it is called in the same way

    def __init__(
        self, event: Ragged, given: Ragged, net: PretrainedTranslator, sliding: Sliding, config: dict[str, Any]
    ) -> None:
        super().__init__(event, given, net, sliding, 0, 0)  # type: ignore[arg-type]
        self.config = config

    @torch.no_grad()
    def continuation(self, prompts: Batch) -> Writing:  # type: ignore[override]  # another `Continuation`
        """Records that begin with these, whose last half contexts alone are read where they are longer.

        Raises:
            InputError: a step inside a prompt is unset, or a source is not known.
        """
        check_whole(prompts)
        return Writing.of(self.net, self.sliding, prompts, self.told(prompts))

    def facts(self) -> dict[str, Any]:
        """The configuration as `config.json` has it, tokens of beginning, of end and around a source, the context."""
        around = {name: list(getattr(self.net, name)) for name in ("before", "behind", "never")}
        begin = [*self.net.prefix, self.net.begin]
        return {"config": self.config, "begin": begin, "end": self.net.end, **around, "context": self.sliding.context}

    def export(self, folder: Path) -> None:
        """Write `config.json`, how to begin and end, and the weights as `transformers` reads them."""
        super().export(folder)
        begin = [*self.net.prefix, self.net.begin]
        forced = {"forced_bos_token_id": begin[1]} if len(begin) > 1 else {}
        marks = {"eos_token_id": self.net.end, "pad_token_id": self.net.network.config.pad_token_id}
        never = {"bad_words_ids": [[number] for number in self.net.never]} if self.net.never else {}
        write_json(folder / "generation_config.json", {"decoder_start_token_id": begin[0], **forced, **marks, **never})


@dataclass(frozen=True)
class PretrainedTranslation(Training):
    """p(text | source) = product over its tokens, and its end, by an encoder with a decoder of Hugging Face.

    `ensample.load` opens the folder of a checkpoint (T5, BART and others that `transformers` knows) as a model of this
    family: of the field `text`, given the field `source`. `ensample.fit(pairs, start=model)` tunes all of its weights,
    and with `adapters` low-rank changes to its matrices (Hu et al. 2022). Take it where a checkpoint knows the
    languages, or the task, already. Without a checkpoint a network of `config` is built and learned from nothing:
    there `sequence-to-sequence` learns faster.

    A source stands between the tokens that the tokenizer puts around a text. What is written stands behind the token
    that the decoder starts with, and that of beginning where the checkpoint forces one: these are given, not learned.

    Arguments:
        context: most tokens of a text that are looked back on; those of the model that learning starts from, or 256.
        longest: most tokens of a drawn text, as of `Pretrained`.
        config: what to build where there is no model to start from: a `config.json` as text, without its numbers of
            tokens. A small T5 if left out.
        label_smoothing: share of the probability that a target gives to all tokens alike, in training (Szegedy et al.
            2016).
        batch_size: tokens of a step: it takes as many records as hold them.

    How it is trained: the options of `Training`.

    Example:
        >>> PretrainedTranslation(adapters=8).label_smoothing
        0.0
    """

    context: int | None = None
    longest: int | None = None
    config: str = ""
    label_smoothing: float = 0.0
    learning_rate: float = 1e-4
    optimiser: Literal["adamw", "adam", "sgd", "muon"] = "adamw"
    warm_up: int = 20
    weight_decay: float = 0.01
    batch_size: int = 2048
    average: float = 0.0
    holdout: float = 0.02

    name: ClassVar[str] = "pretrained-translation"
    distribution: ClassVar[type[Distribution]] = PretrainedTranslations
    given_sequences: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(self, context=2, longest=1)
        self.check_shares("label_smoothing")
        self.check()

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Refuses every table."""
        return "this network writes texts given others; `autoregressive` learns tables"

    def refuses_sequences(self, event: Ragged, given: Mixed | Ragged | None) -> str | None:
        """Accepts ordered sequences of one class a step, given such sequences of the same vocabulary."""
        if not isinstance(given, Ragged):
            return "there is no source: give a text or a sequence, or take `pretrained`"
        for each in (event, given):
            if (why := not_of_classes(each)) is not None:
                return why
        if classes_of(event) != classes_of(given):
            counts = f"{classes_of(given):,} and {classes_of(event):,}"
            return f"a checkpoint has one vocabulary for both texts, and here there are {counts} classes"
        return None

    def build(self, records: Records, seed: int) -> PretrainedTranslations:
        """A network of `config` with weights drawn.

        Raises:
            InputError: every record is missing, or `config` is no JSON object.
            CapabilityError: it is of no encoder with a decoder.
            MissingPackage: `transformers` is not installed.
        """
        assert isinstance(records, Sequences)
        if not bool((records.lengths >= 0).any()):
            raise InputError("Learning needs records.", "the training data", "all of them are missing", "add some")
        context, mark = self.context or CONTEXT, classes_of(records.event)
        tokens = {"vocab_size": mark + 1, "eos_token_id": mark, "decoder_start_token_id": mark, "pad_token_id": mark}
        config = {**asked(self.config, SMALL), **tokens}
        facts = {"config": config, "begin": [mark], "end": mark, "before": [], "behind": [mark], "context": context}
        module = self._module(records.event, records.given, facts, Generator().manual_seed(seed))
        module.longest.fill_(self.longest or longest_of(torch.from_numpy(records.lengths)))
        if records.event.missing:
            module.missing.fill_((records.lengths == MISSING_LENGTH).mean())
        return module

    def prepared(self, records: Sequences) -> Windows:
        """Windows of each record, with its source, no longer than that."""
        longest = int(records.lengths.max(initial=0)) + 1
        return Windows.of(records, max(1, min(self.context or CONTEXT, longest)))

    def rows_of_step(self, records: Windows) -> int:
        """Windows of a step, which hold about `batch_size` tokens."""
        return max(1, round(self.batch_size / float((records.lengths - 1).mean())))

    def players(self, module: PretrainedTranslations) -> tuple[Player, ...]:
        """Maximum likelihood, in nats a token."""

        def loss(batch: Batch, generator: Generator) -> Tensor:
            return loss_of(self._fits(module, batch), batch, self.label_smoothing)

        return (Player("network", loss, learned(module)),)

    def validate(self, module: PretrainedTranslations, batch: Batch, generator: Generator) -> Tensor:
        """Nats of each window a token of a mean window, [rows]."""
        return nats_of(self._fits(module, batch), batch)

    def _fits(self, module: PretrainedTranslations, windows: Batch) -> PretrainedTranslations:
        """The module. Raises InputError where windows are longer than what it looks back on."""
        if (steps := windows.cells.shape[1] - 1) > module.sliding.context:
            seen, most = f"windows of {steps} tokens", module.sliding.context
            rule = "Learning looks no further back than the model that it starts from."
            raise InputError(rule, f"{self.name}, context", seen, f"say context={most}")
        return module

    def restore(
        self, event: Any, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> PretrainedTranslations:
        """Inverse of `PretrainedTranslations.arrays` and `facts`; `context` and `longest` of this family, if said."""
        module = self._module(event, given, {**facts, "context": self.context or facts["context"]}, Generator())
        filled(module.net, arrays)
        module.missing.copy_(arrays["missing"])
        module.longest.copy_(arrays["longest"] if self.longest is None else torch.tensor(self.longest))
        return module.eval()

    def _module(self, event: Ragged, given: Any, facts: dict[str, Any], generator: Generator) -> PretrainedTranslations:
        network = network_of(facts["config"], generator, sourced=True)
        begin, most = tuple(facts["begin"]), places_of(network)
        if most and facts["context"] > (room := most + 1 - len(begin)):
            seen = f"{facts['context']}, of a network of {most}"
            raise InputError("A network has so many places.", f"{self.name}, context", seen, f"say context={room}")
        around = tuple(facts["before"]), tuple(facts["behind"])
        never = tuple(facts.get("never", ()))  # files of before have none
        net = PretrainedTranslator(network, begin, int(facts["end"]), *around, most, never)
        return PretrainedTranslations(event, given, net, Sliding(int(facts["context"])), facts["config"])
