"""How a model of texts writes on: prompts to continuations, steps to strings."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

import numpy as np
import torch
from torch import Tensor

from ensample.data.dataset import Dataset
from ensample.errors import CapabilityError, InputError
from ensample.events import Batch
from ensample.families.abilities import Continues, FillsIn
from ensample.kinds.textcodec import TextCodec
from ensample.sampling import given_row, given_rows
from ensample.solvers.continuation import Continuation, Represents
from ensample.solvers.decoding import (
    Ended,
    Noise,
    Passage,
    Step,
    Typist,
    beam_search,
    collected,
    contrast,
    speculate,
    write,
)
from ensample.solvers.decoding.options import Options
from ensample.solvers.decoding.stopping import text_before

if TYPE_CHECKING:
    from ensample.model import Model

ROWS = 128
"""Texts that are written side by side."""


class Asked(NamedTuple):
    """What a text goes on from, what it leads to (None if that is open), and its row where conditions are a table."""

    prompt: str
    suffix: str | None = None
    row: int | None = None


Order = Callable[[Asked, list[Passage]], list[Passage]]
"""Puts what was found for one of what is asked in order, the best first."""


class Written(str):
    """A text as a model wrote it: a string, and what else is known of it.

    Attributes:
        prompt: what it goes on from; `written.prompt + written` is the whole.
        tokens: the classes chosen, with those of the stop string.
        log_probs: the model's log-probability of each, nats, float64, before any option changed it; one more behind
            them if the text ended by itself, for the end. None if not asked for.
        ended: "end" (by itself), "stop" (before a stop string), "tokens" (long enough), "stuck" (a constraint left it
            nothing to write, where it did leave something to other texts of the call: this one is not whole).
        suffix: what it was to lead to, None if nothing; `written.prompt + written + written.suffix` is the whole then.
    """

    __slots__ = ("ended", "log_probs", "prompt", "suffix", "tokens")
    prompt: str
    suffix: str | None
    tokens: tuple[int, ...]
    log_probs: np.ndarray | None
    ended: Ended

    def __new__(
        cls,
        text: str,
        prompt: str = "",
        tokens: tuple[int, ...] = (),
        log_probs: np.ndarray | None = None,
        ended: Ended = "end",
        suffix: str | None = None,
    ) -> Self:
        """A string with attributes."""
        made = super().__new__(cls, text)
        made.prompt, made.tokens, made.log_probs, made.ended, made.suffix = prompt, tokens, log_probs, ended, suffix
        return made

    def __getnewargs__(self) -> tuple[Any, ...]:
        return str(self), self.prompt, self.tokens, self.log_probs, self.ended, self.suffix


@dataclass
class Writer:
    """One call of `generate` or `stream`, past the checks of its numbers; arguments as there."""

    model: Model
    options: Options
    where: Mapping[str, Any] | Dataset | None
    seed: int | None
    draft: Model | None
    log_probs: bool

    def __post_init__(self) -> None:
        self.seed = secrets.randbits(48) if self.seed is None else int(self.seed)
        self.tokenizer = cast(TextCodec, self.model.codec).kind.tokens
        self.rules = self.options.rules(self.tokenizer.unknown)
        self.options.constraint(self.tokenizer.pieces, 0)  # tells at once if it cannot be read
        if self.draft is not None:
            _check_draft(self.model, self.draft, self.options)
        self._seen: Counter[str] = Counter()
        given = self.where.select(list(self.model.codec.given)) if isinstance(self.where, Dataset) else None
        self._told = [] if given is None else [repr(row) for row in given.to_arrow().to_pylist()]

    def written(self, asked: list[Asked], n: int) -> list[Written]:
        """`n` texts for each of what is asked."""
        rows = [one for one in asked for _ in range(n)]
        seeds = [self.seed_of(one) for one in rows]
        each = ROWS if self.draft is None and self.options.contrast is None else 1
        made: list[Written] = []
        for first in range(0, len(rows), each):
            part = rows[first : first + each]
            passages = collected(self.steps(part, seeds[first : first + each]), len(part))
            made += [self.as_written(*pair) for pair in zip(part, passages, strict=True)]
        return made

    def searched(self, asked: list[Asked], n: int, order: Order | None = None) -> list[Written]:
        """The `n` best texts of each of what is asked, by a beam; `order` puts all that is found in another order."""
        beams = cast(int, self.options.beams)
        each, made = max(1, ROWS // beams), list[Written]()
        for first in range(0, len(asked), each):
            part = asked[first : first + each]
            with torch.inference_mode():
                begun, past = self._begun(self.model, part)
                pieces, power = self.tokenizer.pieces, self.options.length_power
                found = beam_search(
                    begun, past, self._most(part), beams, self.rules, power=power,
                    wanted=n if order is None else beams,
                    bound=self.options.bound,
                    constraint=self.options.constraint(pieces, len(part)),
                    watch=self.options.watch(pieces, len(part)),
                )  # fmt: skip
            for one, passages in zip(part, found, strict=True):
                best = passages if order is None else order(one, passages)
                made += [self.as_written(one, passage) for passage in best[:n]]
        return made

    def pieces_of(self, asked: Asked) -> Iterator[str]:
        """One text as it appears; its prompt is read at once."""
        return self._shown(self.steps([asked], [self.seed_of(asked)]), self._front(asked))

    def _shown(self, steps: Iterator[Step], front: bytes) -> Iterator[str]:
        typist, begun = Typist([stop.encode() for stop in self.options.stops]), False
        for step in steps:
            data = self.tokenizer.pieces[step.classes[0]] if step.classes[0] < self.tokenizer.classes else b""
            piece = typist.write(data if begun else data.removeprefix(front))
            begun = begun or bool(data)
            if piece:
                yield piece
        if rest := typist.close():
            yield rest

    def _front(self, asked: Asked) -> bytes:
        """What a tokenizer puts before a new text, which is no part of it; of a text that is constrained all is."""
        return b"" if asked.prompt or self.options.constrained else self.tokenizer.front

    def steps(self, asked: list[Asked], seeds: list[list[int]]) -> Iterator[Step]:
        """Read the prompts, and write on step by step."""
        options, pieces, rows = self.options, self.tokenizer.pieces, len(asked)
        with torch.inference_mode():
            begun, past = self._begun(self.model, asked)
            if options.contrast is not None:
                begun = self._begun(self.model, [Asked("")])[0]
            drafted = None if self.draft is None else self._begun(self.draft, asked)[0]
        more: dict[str, Any] = {
            "constraint": options.constraint(pieces, rows),
            "watch": options.watch(pieces, rows),
            "log_probs": self.log_probs,
        }
        how = (past, self._most(asked), options.choice, Noise(seeds), self.rules)
        if options.contrast is not None:
            steps = contrast(
                _represents(begun), past, options.tokens, options.top_k or 4, options.contrast, self.rules, **more
            )
        elif drafted is None:
            steps = write(begun, *how, **more)
        else:
            steps = speculate(begun, drafted, *how, ahead=options.ahead, **more)
        return _careful(steps)

    def _most(self, asked: list[Asked]) -> int:
        """Tokens that may be written."""
        if asked[0].suffix is None and isinstance(self.model.distribution, Continues):
            return self.options.tokens
        return min(self.options.tokens, cast(FillsIn, self.model.distribution).longest_between)

    def _begun(self, model: Model, asked: list[Asked]) -> tuple[Continuation, Tensor]:
        """A row for each prompt, equal ones read once; and their classes behind one another, flush right."""
        different = list(dict.fromkeys(asked))
        tokens = self.tokens_of([one.prompt for one in different], model)
        before = self.batch_of(tokens, model, [one.row for one in different])
        if asked[0].suffix is None and isinstance(model.distribution, Continues):
            begun = model.distribution.continuation(before)
        else:
            texts = [one.suffix for one in different if one.suffix is not None]
            after = self.batch_of(self.tokens_of(texts, model), model) if texts else None
            begun = cast(FillsIn, model.distribution).between(before, after, self._most(asked))
        rows = torch.tensor([different.index(one) for one in asked])
        flush = torch.nn.utils.rnn.pad_sequence(
            tokens, batch_first=True, padding_value=self.tokenizer.classes, padding_side="left"
        )
        flush = flush.clamp(max=self.tokenizer.classes)  # marks of roles in a dialogue are no tokens
        return (begun if len(different) == len(asked) else begun.take(rows)), flush[rows]

    def tokens_of(self, texts: list[str], model: Model | None = None) -> list[Tensor]:
        """Classes of each text, int64 [tokens]."""
        codec = cast(TextCodec, (model or self.model).codec)
        return [torch.from_numpy(found) for found in codec.kind.tokens_of(texts)]

    def batch_of(
        self, tokens: list[Tensor], model: Model | None = None, rows: Sequence[int | None] | None = None
    ) -> Batch:
        """Texts of these classes as records, with the given fields: of these rows where conditions are a table."""
        lengths = torch.tensor([len(row) for row in tokens])
        cells = torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True)[:, :, None]
        steps = torch.arange(cells.shape[1]) < lengths[:, None]
        if isinstance(self.where, Dataset):
            cond = given_rows(model or self.model, self.where.take(cast("list[int]", rows)))
        elif (cond := given_row(model or self.model, self.where or {})) is not None:
            cond = cond.repeat(len(tokens))
        return Batch(cells, steps[:, :, None], cond, lengths=lengths)

    def seed_of(self, asked: Asked) -> list[int]:
        """Random numbers of a text depend on what is asked and on how many of the same came before, on no other row."""
        told = None if asked.row is None else self._told[asked.row]
        whole = "\0".join(part for part in (asked.prompt, asked.suffix, told) if part is not None)
        digest = np.frombuffer(hashlib.sha256(whole.encode()).digest(), np.uint32)
        self._seen[whole] += 1
        return [cast(int, self.seed), *digest.tolist(), self._seen[whole]]

    def as_written(self, asked: Asked, passage: Passage) -> Written:
        """A passage as a string."""
        pieces = self.tokenizer.pieces
        data = b"".join(pieces[number] for number in passage.classes)
        text = text_before(data.removeprefix(self._front(asked)), [stop.encode() for stop in self.options.stops])
        told = np.array(passage.log_probs) if self.log_probs else None
        return Written(text, asked.prompt, tuple(passage.classes), told, passage.ended, asked.suffix)


def _careful(steps: Iterator[Step]) -> Iterator[Step]:
    """The steps, each computed in inference mode; between them the caller's settings of torch hold."""
    while True:
        with torch.inference_mode():
            step = next(steps, None)
        if step is None:
            return
        yield step


def _represents(begun: Continuation) -> Represents:
    if not isinstance(begun, Represents):
        raise CapabilityError(
            "Contrastive search compares states of a network.", "generate, contrast", "no states", "draw, or fit one"
        )
    return begun


def _check_draft(model: Model, draft: Model, options: Options) -> None:
    if (way := next((name for name in options.searches if name != "greedy"), None)) is not None:
        raise InputError("This search checks no drafts.", "generate, draft", f"also {way}", "leave one of them out")
    same = isinstance(draft.codec, TextCodec) and cast(TextCodec, model.codec).kind.tokens == draft.codec.kind.tokens
    if not same or "generate" not in draft.can or model.codec.given != draft.codec.given:
        raise CapabilityError(
            "A draft is of a model of texts with the same tokens and the same given fields.",
            "generate, draft",
            repr(draft),
            "fit both on the same data with the same kinds",
        )
