"""`ensample score`: how probable, or how odd, each record is."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from ensample.cli.console import Answer, Console
from ensample.cli.options import SOURCES, add_reading, read
from ensample.cli.output import save_text


def add(parser: argparse.ArgumentParser) -> None:
    """The options of `score`."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model file")
    parser.add_argument("data", metavar="ROWS", help=f"the records to score: {SOURCES}")
    parser.add_argument(
        "--anomaly", action="store_true", help="anomaly score (higher is odder) instead of log-probability in nats"
    )
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="write one value a line there instead of standard output"
    )
    add_reading(parser, kinds=False)


def run(args: argparse.Namespace, console: Console) -> Answer:
    """Score every record, in order."""
    import numpy as np

    import ensample

    model = ensample.load(args.model)
    data = read(args.data, args, console, model)
    name = "anomaly_score" if args.anomaly else "log_prob"
    values = np.asarray(model.anomaly_score(data) if args.anomaly else model.log_prob(data), dtype=np.float64)
    mean = float(values.mean())
    facts = {"measure": name, "rows": len(values), "mean": mean}
    if not args.anomaly:
        facts |= {"unit": "nats per record", "bits": -mean / math.log(2), "sort": dict(model.can)["log_prob"]}
        console.note(f"mean {mean:.4f} nats per record = {-mean / math.log(2):.4f} bits ({facts['sort']})")
    text = "\n".join([name, *(f"{value:.6f}" for value in values)])
    if args.save is None:
        return Answer(text, {**facts, "values": values})
    save_text(args.save, text + "\n")
    return Answer(f"{len(values):,} values saved to {args.save}", {**facts, "saved": str(args.save)})
