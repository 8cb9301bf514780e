"""`ensample generate`: write on from a prompt."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ensample.cli import where
from ensample.cli.console import Answer, Console
from ensample.cli.options import add_seed, count_from
from ensample.cli.output import table
from ensample.errors import FormatError, InputError

if TYPE_CHECKING:
    from ensample.model import Model
    from ensample.writer import Written

SHAPING: tuple[tuple[str, Callable[[str], Any], str, str], ...] = (
    ("temperature", float, "X", "below 1 the probable becomes more so, above 1 less (1)"),
    ("top-k", count_from(1), "K", "choose among the K most probable tokens"),
    ("top-p", float, "P", "choose among the fewest tokens of this share of the probability"),
    ("min-p", float, "P", "choose among tokens at least P times as probable as the most probable"),
    ("typical", float, "P", "choose among the fewest tokens of this share of nearly expected surprise"),
    ("repetition-penalty", float, "X", "above 1: what came before becomes less probable (1)"),
    ("no-repeat", count_from(1), "N", "no run of N tokens comes twice"),
    ("contrast", float, "X", "of the --top-k (4) most probable tokens one that is probable and unlike all before"),
    ("beams", count_from(1), "N", "search for the most probable text with N on the way"),
    ("length-power", float, "X", "of beams: log-probabilities are divided by this power of the length (1)"),
)
"""Options that are numbers and may be left to their defaults."""

PATIENCE = ("unlikely", "never", "enough")
"""When a search by beams is over; see `ensample.solvers.decoding.patience`."""

SEARCHING = ("beams", "length_power", "early_stopping")
"""Options of beams, whose best text is known only at the end: nothing of it is shown as it is written."""


def add(parser: argparse.ArgumentParser) -> None:
    """The options of `generate`."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model file of texts")
    parser.add_argument("prompt", nargs="?", metavar="PROMPT", help="what to go on from; - reads standard input")
    parser.add_argument("--file", type=Path, metavar="FILE", help="the prompt is what this file holds")
    parser.add_argument("--suffix", metavar="TEXT", help="what the text has to lead to: write what stands between")
    parser.add_argument(
        "--candidates",
        type=count_from(1),
        metavar="N",
        help="with --suffix: tries of each text (64; 1 if the model was taught to fill in)",
    )
    parser.add_argument("-n", type=count_from(1), default=1, metavar="N", help="how many texts (%(default)s)")
    add_wishes(parser)
    parser.add_argument("--stream", action="store_true", help="show the text as it is written")
    parser.add_argument("--log-probs", action="store_true", help="with --json: of each token, nats")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write a table there: prompt, text, ended")


def add_wishes(parser: argparse.ArgumentParser) -> None:
    """What may be asked of a text that is written."""
    parser.add_argument("--tokens", type=count_from(1), default=256, metavar="N", help="at most so many (%(default)s)")
    parser.add_argument("--at-least", type=count_from(0), default=0, metavar="N", help="at least so many (%(default)s)")
    group = parser.add_argument_group("how tokens are chosen")
    group.add_argument("--greedy", action="store_true", help="the most probable token each time")
    for name, kind, shown, words in SHAPING:
        group.add_argument(f"--{name}", type=kind, metavar=shown, help=words)
    group.add_argument("--early-stopping", choices=PATIENCE, help="of beams: when the search is over (unlikely)")
    group = parser.add_argument_group("what may be written")
    group.add_argument("--stop", action="append", default=[], metavar="TEXT", help="end before this text; repeatable")
    group.add_argument("--regex", metavar="R", help="the text matches this regular expression")
    group.add_argument("--grammar", type=Path, metavar="FILE", help="it is of this grammar, in the notation of Lark")
    group.add_argument("--schema", type=Path, metavar="FILE", help="it is JSON of this JSON schema")
    group.add_argument("--choice", action="append", metavar="TEXT", help="it is this text or another such; repeatable")
    parser.add_argument("--where", action="append", default=[], metavar="WISH", help="given fields, FIELD=VALUE")
    parser.add_argument("--draft", type=Path, metavar="MODEL", help="a faster model of the same tokens that proposes")
    parser.add_argument("--ahead", type=count_from(1), default=4, metavar="N", help="tokens it proposes (%(default)s)")
    add_seed(parser)


def run(args: argparse.Namespace, console: Console) -> Answer:
    """Write on."""
    import ensample

    prompt = prompt_of(args)
    model = ensample.load(args.model)
    options = {**wishes(args, model), "suffix": args.suffix}
    if args.stream:
        _check_stream(args)
        options = {name: value for name, value in options.items() if name not in SEARCHING}
        return Answer("", {}, model.stream(prompt, **options))
    options |= {} if args.candidates is None else {"candidates": args.candidates}
    made = cast("list[Written]", model.generate([prompt], args.n, log_probs=args.log_probs, **options))
    if args.save is not None:
        return saved(made, args)
    return Answer(joined(made), {"texts": [facts(one) for one in made]})


def wishes(args: argparse.Namespace, model: Model) -> dict[str, Any]:
    """The options of `add_wishes`, as `Model.generate` takes them."""
    import ensample

    options: dict[str, Any] = {
        "tokens": args.tokens,
        "at_least": args.at_least,
        "greedy": args.greedy,
        "stop": args.stop,
        "regex": args.regex,
        "grammar": args.grammar and text_of(args.grammar),
        "schema": args.schema and text_of(args.schema),
        "choices": args.choice,
        "draft": args.draft and ensample.load(args.draft),
        "ahead": args.ahead,
        "where": where.conditions(args.where, model.schema),
        "seed": args.seed,
    }
    more = {*(name.replace("-", "_") for name, *_ in SHAPING), "early_stopping"}
    return options | {name: value for name in more if (value := getattr(args, name)) is not None}


def prompt_of(args: argparse.Namespace) -> str:
    """The prompt, as it is: line ends at its end are part of it.

    Raises:
        InputError: both a prompt and a file.
        FormatError: a file that is no UTF-8 text.
    """
    if args.file is not None and args.prompt is not None:
        raise InputError(
            "There is one prompt.", f"--file {args.file}", f"also {args.prompt!r}", "leave one of them out"
        )
    if args.file is not None:
        return text_of(args.file)
    return unicode_of(sys.stdin.read()) if args.prompt == "-" else args.prompt or ""


def unicode_of(text: str) -> str:
    """What was read from standard input. Raises FormatError if its bytes were no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        seen = f"the byte 0x{ord(text[error.start]) & 0xFF:02x}"
        raise FormatError("A text is UTF-8.", "standard input", seen, "turn it into UTF-8 first") from None
    return text


def text_of(path: Path) -> str:
    """What a file holds. Raises FormatError if it is not there or no UTF-8."""
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError("A text file is UTF-8.", str(path), str(error), "name another file") from None


def joined(texts: Sequence[str]) -> str:
    r"""Texts for people: one a line, or apart by lines of dashes where one has several lines.

    Example:
        >>> joined(["anna", "otto"]), joined(["a\nb", "c"])
        ('anna\notto', 'a\nb\n---\nc')
    """
    return ("\n---\n" if any("\n" in text for text in texts) else "\n").join(texts)


def facts(one: Written) -> dict[str, Any]:
    """All that is known of a text."""
    told = {"prompt": one.prompt, "text": str(one), "tokens": one.tokens, "ended": one.ended}
    return told if one.log_probs is None else {**told, "log_probs": one.log_probs}


def saved(made: Sequence[Written], args: argparse.Namespace) -> Answer:
    """The texts as a table in a file."""
    import pyarrow as pa

    from ensample.data.dataset import Dataset

    columns = {"prompt": [t.prompt for t in made], "text": [str(t) for t in made], "ended": [t.ended for t in made]}
    return table(Dataset.from_arrow(pa.table(columns)), args.save, args.json)


def _check_stream(args: argparse.Namespace) -> None:
    for name, usual in (
        ("n", 1),
        ("beams", None),
        ("save", None),
        ("json", False),
        ("log_probs", False),
        ("candidates", None),
    ):
        if getattr(args, name) != usual:
            flag = "-n" if name == "n" else f"--{name.replace('_', '-')}"
            raise InputError(
                "One text at a time is shown as it is written.",
                flag,
                f"{getattr(args, name)} with --stream",
                "leave one of them out",
            )
