"""`ensample VERB`: the command line. Everything heavy is imported by the verb that needs it."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from ensample import __version__
from ensample.cli import chat, compare, fit, forecast, generate, impute, pictures, report, sample, score, show
from ensample.cli.console import Answer, Console, to_json
from ensample.cli.options import COMMON
from ensample.errors import EnsampleError

OK, USER_ERROR, USAGE_ERROR, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 130, 141


@dataclass(frozen=True)
class Verb:
    """One verb: its options and what it does."""

    add: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Console], Answer]
    words: str
    example: str


VERBS: dict[str, Verb] = {
    "fit": Verb(
        fit.add,
        fit.run,
        "learn the distribution of the rows of a table",
        "ensample fit adult.csv --budget 30s --save adult.ens",
    ),
    "sample": Verb(
        sample.add,
        sample.run,
        "make new records",
        "ensample sample adult.ens -n 100 --where income='>50K' --where age=30..40",
    ),
    "score": Verb(
        score.add,
        score.run,
        "log-probability or anomaly score of each record",
        "ensample score adult.ens rows.csv --anomaly",
    ),
    "impute": Verb(
        impute.add, impute.run, "fill holes", "ensample impute adult.ens holes.csv --how draw --m 5 --save filled.csv"
    ),
    "forecast": Verb(
        forecast.add,
        forecast.run,
        "tell the next steps of series",
        "ensample forecast load.ens load.csv --steps 24 --out next.csv",
    ),
    "generate": Verb(
        generate.add,
        generate.run,
        "write texts on from a prompt",
        "ensample generate plays.ens 'ROMEO:' --tokens 200 --temperature 0.8 --stream",
    ),
    "chat": Verb(
        chat.add,
        chat.run,
        "reply in a dialogue",
        "ensample chat talks.ens --message 'Is there a table for two?' --greedy",
    ),
    "edit": Verb(
        pictures.add_edit,
        pictures.run_edit,
        "fill, enlarge, colour, sharpen or vary pictures",
        "ensample edit faces.ens torn.png --mask holes.png --save whole.png",
    ),
    "restyle": Verb(
        pictures.add_restyle,
        pictures.run_restyle,
        "give pictures the texture of another picture",
        "ensample restyle harbour.jpg waves.jpg --size 256 --save painted.png",
    ),
    "morph": Verb(
        pictures.add_morph,
        pictures.run_morph,
        "go from one record to another through a latent space",
        "ensample morph faces.ens anna.png bob.png --steps 40 --save morph.gif",
    ),
    "report": Verb(
        report.add,
        report.run,
        "judge a model against rows it has not seen",
        "ensample report adult.ens test.csv --save report.html",
    ),
    "compare": Verb(
        compare.add,
        compare.run,
        "rank families on one table",
        "ensample compare sample:adult --split-column split --save board.html",
    ),
    "show": Verb(show.add, show.run, "look at a model, a data set, the families", "ensample show adult.ens"),
    "resume": Verb(fit.add_resume, fit.run_resume, "go on with a stopped fit", "ensample resume run/"),
}
"""Every verb, in the order of the help."""


class _Parser(argparse.ArgumentParser):
    """Takes options between the things that are named by their place, also where one of these may be left out."""

    _mixing = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As `argparse` does in `parse_known_intermixed_args`, which calls this."""
        if self._mixing:
            return super().parse_known_args(args, namespace)
        self._mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixing = False


def build_parser(fit_notes: str = "") -> argparse.ArgumentParser:
    """The whole command line as argparse knows it; `fit_notes` ends the help of `fit`."""
    parser = argparse.ArgumentParser(
        prog="ensample",
        description="Learn the distribution behind a table; make, score, complete and judge records.",
        epilog="Exit codes: 0 done, 1 an error told in four parts, 2 wrong usage, 130 stopped by Ctrl-C.",
    )
    parser.add_argument("--version", action="version", version=f"ensample {__version__}")
    parser_class: type[argparse.ArgumentParser] = _Parser
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=parser_class)
    for name, verb in VERBS.items():
        words = verb.words[0].upper() + verb.words[1:] + "."
        epilog = f"Example: {verb.example}" + (f"\n\n{fit_notes}" if name == "fit" and fit_notes else "")
        style = argparse.RawDescriptionHelpFormatter
        verb.add(
            verbs.add_parser(
                name, parents=[COMMON], help=verb.words, description=words, epilog=epilog, formatter_class=style
            )
        )
    return parser


def main() -> NoReturn:
    """Run the command of this process, and end it."""
    sys.exit(command(sys.argv[1:]))


def command(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; wrong usage raises SystemExit as argparse does."""
    args = None
    console = Console()
    try:
        if family := family_asked_about(arguments):
            build_parser(show.family(family).text).parse_args(arguments)
        args = build_parser().parse_args(arguments)
        console.quiet = args.quiet
        # whatever a library prints is no part of the answer
        with contextlib.redirect_stdout(sys.stderr), noted_warnings(console):
            answer = VERBS[args.verb].run(args, console)
        console.close()
        return say(answer, args.json)
    except KeyboardInterrupt:
        console.close()
        return interrupted(args)
    except EnsampleError as error:
        console.close()
        return failed(error, args)
    except MemoryError:
        console.close()
        return failed(EnsampleError("The work must fit in memory.", seen="no memory left", fix="give fewer rows"), args)
    except BrokenPipeError:  # the reader of a pipe (head, less) has gone; that is no error of ours
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nor of the flush at the end of the process
        return PIPE_CLOSED
    except OSError as error:
        console.close()
        return failed(refused(error), args)
    except Exception as error:
        console.close()
        return failed(unforeseen(error), args)


def say(answer: Answer, as_json: bool) -> int:
    """Write the answer on standard output."""
    for piece in () if answer.pieces is None else answer.pieces:
        print(piece, end="", flush=True)
    print(to_json(answer.facts) if as_json else answer.text, end=answer.end, flush=True)
    return OK


def failed(error: EnsampleError, args: argparse.Namespace | None) -> int:
    """Tell an error in its four parts; with --debug, how it came about."""
    if args is not None and args.debug:
        traceback.print_exc()
    else:
        print(f"error: {error}", file=sys.stderr)
    if args is not None and args.json:
        parts = {"rule": error.rule, "place": error.place, "seen": error.seen, "fix": error.fix}
        print(to_json({"error": parts}), flush=True)
    return USER_ERROR


def refused(error: OSError) -> EnsampleError:
    """What the operating system did not let happen."""
    place = str(error.filename or "standard output")
    return EnsampleError(
        "Files must be readable and writable.", place, error.strerror or str(error), "check space and rights"
    )


def unforeseen(error: Exception) -> EnsampleError:
    """A mistake that is not the user's, in the same four parts."""
    return EnsampleError(
        "This should not happen: it is a mistake in ensample.",
        seen=f"{type(error).__name__}: {error}",
        fix="run the command again with --debug, and report what it prints",
    )


@contextlib.contextmanager
def noted_warnings(console: Console) -> Iterator[None]:
    """Warnings as notes for people, without file names and line numbers."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *where, **more: console.note(f"warning: {message}")
        yield


def interrupted(args: argparse.Namespace | None) -> int:
    """Say how to go on after Ctrl-C."""
    words = "stopped"
    run = getattr(args, "out", None) or getattr(args, "run", None)
    if args is not None and args.verb in ("fit", "resume"):
        words += f"; go on with: ensample resume {run}" if run else "; nothing was kept (fit --out FOLDER keeps a run)"
    print(words, file=sys.stderr)
    return INTERRUPTED


def family_asked_about(arguments: Sequence[str]) -> str | None:
    """NAME of `fit --family NAME --help`: the one help that needs the families themselves."""
    if arguments[:1] != ["fit"] or not {"-h", "--help"} & set(arguments):
        return None
    peek = argparse.ArgumentParser(add_help=False)
    peek.add_argument("--family")
    family: str | None = peek.parse_known_args(arguments[1:])[0].family
    return family
