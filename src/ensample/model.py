"""The public verbs of a fitted model: composition of codec, family and distribution."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample import chatting, editing, forecasting, gaps, hub, hubchat, latent, sampling, writing
from ensample.data.dataset import Dataset
from ensample.data.dialogues import are_dialogues
from ensample.data.nested import is_sequence
from ensample.data.readers import read as read_records
from ensample.data.readers.memory import are_texts
from ensample.errors import InputError
from ensample.families.abilities import DecodesStates, HasGraph
from ensample.families.base import Distribution, Family, Fitted, Guarantee
from ensample.infer.impute import centre, fill
from ensample.infer.likelihood import cell_log_prob
from ensample.infer.proposal import completing
from ensample.kinds.codecs import Codec, rows_at_once
from ensample.kinds.dialoguecodec import DialogueCodec
from ensample.kinds.sequencecodec import SequenceCodec, completed
from ensample.kinds.text import Text
from ensample.kinds.textcodec import TextCodec
from ensample.sampling import counted, generator_of
from ensample.verbs import capabilities, verb

if TYPE_CHECKING:
    from pathlib import Path

    from ensample.data.schema import Schema
    from ensample.judge.graph import GraphPicture
    from ensample.judge.report import Report

SCORED_AT_ONCE = 16_384
"""Rows scored in one batch."""


class Model:
    """A learned p(x | given). Made by `ensample.fit` or `ensample.load`.

    `can` maps each verb that the model has to its guarantee: "exact", "bound" or "estimate".
    """

    def __init__(self, codec: Codec, family: Family, distribution: Fitted, facts: Mapping[str, Any]) -> None:
        self.codec, self.family, self.distribution, self.facts = codec, family, distribution, dict(facts)

    @cached_property
    def _completing(self) -> Distribution:
        return completing(cast(Distribution, self.distribution))

    @cached_property
    def _talking(self) -> Model:
        """The model as one of dialogues, where it is a checkpoint with a chat template."""
        return self if hubchat.template_in(self.codec) is None else hubchat.talking(self)

    @property
    def schema(self) -> Schema:
        """The fields, as the training data showed them."""
        return self.codec.schema

    @property
    def can(self) -> dict[str, Guarantee]:
        """Verbs of this model and how far each can be trusted."""
        found = capabilities(type(self.distribution), self.distribution.guarantees)
        others = {"generate", "stream", "export", "chat"}
        if isinstance(self.codec, TextCodec):
            others = {"chat"} if hubchat.template_in(self.codec) is None else set()
        if isinstance(self.codec, DialogueCodec):  # what is said to a model of replies alone has no distribution
            others = {"generate", "stream", *(("sample",) if self.codec.event.partly else ())}
        if not hubchat.is_pretrained(self.codec):
            others = {*others, "export"}
        if not (isinstance(self.codec, SequenceCodec) and self.codec.event.ordered):
            others = {*others, "forecast"}
        return {name: guarantee for name, guarantee in found.items() if name not in others}

    sample = verb(sampling.sample)

    @verb
    def log_prob(self, data: Any) -> np.ndarray:
        """Log-probability of each record's cell, nats, float64 [rows]; comparable between all families.

        A field that is not learned (a constant, an identifier) adds nothing. See `can["log_prob"]` for its sort.
        """
        table = self._dataset(data)
        records = self.codec.encode(table)
        batches = records.batches(rows_at_once(self.codec.event, SCORED_AT_ONCE))
        own = cast(Distribution, self.distribution)
        scores = [cell_log_prob(own, batch).numpy() for batch in batches]
        total: np.ndarray = np.concatenate([np.zeros(0), *scores]) + self.codec.log_volume(table)
        return total

    @verb
    def anomaly_score(self, data: Any) -> np.ndarray:
        """How odd each record is: minus its log-probability, nats, float64 [rows]; higher is odder."""
        return -self.log_prob(data)

    @verb
    def impute(
        self, data: Any, how: Literal["draw", "mean", "mode"] = "draw", m: int = 1, seed: int | None = None
    ) -> Dataset | list[Dataset]:
        """Fill the missing values of each record, given what is there; observed values stay as they are.

        Of a table of series (the form that `Dataset.series` cut the training records from) the missing steps are filled
        as well: a row for every step, in the order of units and times.

        Arguments:
            data: rows with holes, anything that `read` takes.
            how: "draw" from the conditional distribution, its "mean" (numbers; classes take the mode) or its "mode".
            m: how many completed copies; more than one gives a list (multiple imputation, Rubin 1987).
            seed: same seed, same values.

        Raises:
            InputError: an unknown `how`, an m that is not positive, or a hole in a given field.
        """
        if how not in ("draw", "mean", "mode"):
            raise InputError("`how` is one of three words.", "impute, how", repr(how), 'say "draw", "mean" or "mode"')
        table = self._table(data)
        if isinstance(self.codec, SequenceCodec) and self.codec.is_table(table):
            made = [
                gaps.filled(self, table, how, None if seed is None else seed + copy) for copy in range(counted(m, "m"))
            ]
            return made if m > 1 else made[0]
        for name in self.codec.given:
            if table.column(name).null_count:
                raise InputError(
                    "Given fields are not learned.",
                    f"impute, {name}",
                    "a missing value",
                    "fill it, or fit without given",
                )
        batch = self.codec.encode(table, holes=True).batch()
        limits = self.codec.present(self.codec.model)
        copies = []
        for copy in range(counted(m, "m")):
            generator, number = generator_of(None if seed is None else seed + copy)
            if how == "draw":
                filled = fill(self._completing, batch, limits, generator)
            else:
                filled = centre(self._completing, batch, limits, generator, how)
            copies.append(_completed(table, self.codec.decode(filled, number)))
        return copies if m > 1 else copies[0]

    def report(self, test: Any, train: Any = None, seed: int = 0, extractor: Any = None) -> Report:
        """Judge the model against held-out real rows: a page with measures, pictures and warnings in words.

        Arguments:
            test: real rows that the model has not seen.
            train: the rows it learned from, for the copy check; without them that check is left out.
            seed: of the rows sampled for judging.
            extractor: what makes features of pictures, see `ensample.compare`; a small network of the judge's own if
                None.
        """
        from ensample.judging import report

        return report(self, self._dataset(test), None if train is None else self._dataset(train), seed, extractor)

    @verb
    def classify(self, data: Any, field: str) -> Dataset:
        """The probability of each value of a category, given all other fields: by Bayes' rule from the likelihood.

        Arguments:
            data: rows with all other learned and given fields; whether `field` is there makes no difference.
            field: a category or truth that the model has learned.

        Returns:
            A Dataset with `field` (its most probable value) and a column `p(field=value)` for each value.

        Raises:
            InputError: the field is no category of the model, or another field is missing from the data.
        """
        from ensample.classes import classified

        return classified(self, self._dataset(data), field)

    @verb
    def graph(self) -> GraphPicture:
        """Which fields depend on which: `.edges` with their strength, `.save("graph.svg")`; a notebook draws it."""
        from ensample.judge.graph import GraphPicture

        return GraphPicture(cast(HasGraph, self.distribution).graph())

    @verb
    def states(self, data: Any, probabilities: bool = False) -> list[np.ndarray]:
        """The hidden state of every step of each record: the most probable path (Viterbi), int64 [steps].

        With `probabilities`, the posterior of each step's state given the whole record, float64 [steps, states]. A
        record that is missing has no steps.
        """
        own = cast(DecodesStates, self.distribution)
        found: list[np.ndarray] = []
        for batch in self.codec.encode(self._dataset(data)).batches(SCORED_AT_ONCE):
            told = own.state_probabilities(batch) if probabilities else own.states(batch)
            found += [part[there].numpy() for part, there in zip(told, batch.steps(), strict=True)]
        return found

    edit = verb(editing.edit)
    encode, decode, reconstruct = verb(latent.encode), verb(latent.decode), verb(latent.reconstruct)
    interpolate, direction = verb(latent.interpolate), verb(latent.direction)
    log_prob_interval = verb(latent.log_prob_interval)
    generate, stream = verb(writing.generate), verb(writing.stream)
    chat = verb(chatting.chat)
    export = verb(hub.export)
    forecast = verb(forecasting.forecast)

    def save(self, path: str | Path) -> None:
        """Write the model file: a zip (`.ens`), or a folder where the path has no suffix. See `ensample.load`.

        Raises:
            CapabilityError: the family keeps training rows (resample), which a model file never holds.
            FormatError: the path cannot be written; nothing is left behind.
        """
        from ensample.modelfile import save

        save(self, path)

    def _dataset(self, data: Any) -> Dataset:
        """Records of the model; a table of series is cut into them."""
        table = self._table(data)
        return self.codec.records_of(table) if isinstance(self.codec, SequenceCodec) else table

    def _table(self, data: Any) -> Dataset:
        if isinstance(data, Dataset):
            return data
        if isinstance(self.codec, DialogueCodec) and are_dialogues(data):
            data = {self.codec.field: data}
        texts = [field.name for field in self.schema if isinstance(field.kind, Text)]
        alone = isinstance(self.codec, TextCodec) and are_texts(data)
        return read_records({cast(TextCodec, self.codec).field: data} if alone else data, texts=texts)

    def __repr__(self) -> str:
        given = f" | {', '.join(self.codec.given)}" if self.codec.given else ""
        verbs = ", ".join(f"{name} ({guarantee})" for name, guarantee in self.can.items())
        return f"Model({self.family!r}: p({', '.join(self.codec.model)}{given}); can {verbs})"


def _completed(table: Dataset, decoded: Dataset) -> Dataset:
    """The table with its missing cells taken from `decoded`; all else as it was."""
    whole = table.to_arrow()
    for j, name in enumerate(whole.column_names):
        if name in decoded.names and is_sequence(whole.schema.field(j).type):
            lists = completed(whole.column(j), decoded.column(name))
            whole = whole.set_column(j, whole.schema.field(j).with_type(lists.type), lists)
        elif name in decoded.names and whole.column(j).null_count:
            field, made = whole.schema.field(j), decoded.column(name)
            if pa.types.is_null(field.type):  # nothing there tells of a type
                field = field.with_type(made.type)
            filled = pc.coalesce(pc.cast(whole.column(j), field.type), pc.cast(made, field.type))
            whole = whole.set_column(j, field, filled)
    return Dataset.from_arrow(whole, table.schema, "impute")
