"""`ensample chat`: reply in a dialogue, once or turn by turn."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ensample.cli.console import Answer, Console
from ensample.cli.generate import SEARCHING, add_wishes, facts, text_of, unicode_of, wishes
from ensample.errors import FormatError, InputError

if TYPE_CHECKING:
    from ensample.model import Model
    from ensample.writer import Written

Turns = list[tuple[str, str]]


def add(parser: argparse.ArgumentParser) -> None:
    """The options of `chat`."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model file of dialogues")
    parser.add_argument("--message", metavar="TEXT", help="what is said; without it lines of standard input are")
    parser.add_argument("--role", metavar="ROLE", help="who replies (told by the model where it can be)")
    parser.add_argument("--speaker", metavar="ROLE", help="whose the messages are (likewise)")
    parser.add_argument(
        "--history", type=Path, metavar="FILE", help='turns before, JSON: [{"role": ..., "content": ...}]'
    )
    add_wishes(parser)


def run(args: argparse.Namespace, console: Console) -> Answer:
    """Reply."""
    import ensample
    from ensample.chatting import speakers

    model = ensample.load(args.model)
    turns = [] if args.history is None else history(args.history)
    speaker, role = speakers(model, args.role, args.speaker)
    options = wishes(args, model)
    if args.message is None:
        _check_loop(args)
        return Answer("", {}, replies(model, turns, speaker, role, options), end="")
    made = cast("Written", model.chat([*turns, (speaker, args.message)], role, **options))
    return Answer(str(made), {"role": role, **facts(made)})


def history(path: Path) -> Turns:
    """The turns of a file. Raises FormatError if it holds none."""
    from ensample.data.dialogues import messages_of

    try:
        told = json.loads(text_of(path))
    except ValueError as error:
        fix = 'write [{"role": "user", "content": "..."}]'
        raise FormatError("A dialogue is a JSON list of turns.", str(path), str(error), fix) from error
    return messages_of(told.get("messages") if isinstance(told, dict) else told, str(path))


def replies(model: Model, turns: Turns, speaker: str, role: str, options: dict[str, Any]) -> Iterator[str]:
    """Read what is said line by line, and show each reply as it is written."""
    shown = sys.stdin.isatty()
    options = {name: value for name, value in options.items() if name not in SEARCHING}
    while True:
        if shown:
            yield f"{speaker}: "
        if not (line := sys.stdin.readline()):
            if shown:
                yield "\n"
            return
        turns.append((speaker, unicode_of(line).rstrip("\r\n")))
        if shown:
            yield f"{role}: "
        pieces = list[str]()
        for piece in cast("Iterator[str]", model.chat(turns, role, stream=True, **options)):
            pieces.append(piece)
            yield piece
        turns.append((role, "".join(pieces)))
        yield "\n"


def _check_loop(args: argparse.Namespace) -> None:
    for name in ("json", "beams"):
        if getattr(args, name):
            seen, fix = f"--{name} without --message", "say --message"
            raise InputError("Replies to lines are shown as they are written.", f"--{name}", seen, fix)
