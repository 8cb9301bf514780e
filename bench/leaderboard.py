"""The leaderboard of the documentation: every family, and rivals, on three real tables, judged alike.

    python bench/leaderboard.py adult --families boosted circuit flow --budget 60s
    python bench/leaderboard.py adult --rivals imblearn-smote gaussian-copula --rival-python PATH
    python bench/leaderboard.py                         # writes docs/leaderboard.md from what was measured

Each generator learns from the same training rows within the budget and makes 10,000; `ensample.judge` measures these
against held-out rows. What is measured is kept in docs/leaderboard.jsonl, a line for each table and generator, so that
runs add up; a generator that is measured again replaces its line. The last line printed is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import pandas as pd

import ensample as en
from ensample.errors import CapabilityError
from ensample.judge.evaluate import Judgement, ceiling, judge
from ensample.judge.reference import Reference
from tables import MADE, TABLES, Table, rival

DOCS = Path(__file__).parents[1] / "docs"
STORE = DOCS / "leaderboard.jsonl"
CEILING = "(training rows)"
COLUMNS = {
    "bits": "bits a row",
    "two-sample test": "told apart",
    "two-sample test with relations": "... with relations",
    "pair trends": "trends",
    "usefulness": "useful",
    "coverage": "coverage",
    "copy share": "copied",
    "fit cpu s": "fit, CPU s",
    "sample s": "sample, s",
}
HEAD = """# Leaderboard

Every family of ensample with its default options, and rivals, on three real tables. Each learned from the same
training rows and made 10,000 records, which were judged against held-out rows by the same measures (see
[Judging](judging.md)). Families of ensample had a budget of {budget} on one thread; rivals had the time that they take.
Sorted by *told apart*.

- *bits a row*: log2 loss of held-out rows, lower is better; rivals have none that could be compared.
- *told apart*: AUC of a boosted classifier between real and made rows, 0.5 is best; *with relations*: with sums,
  differences and ratios of columns beside them.
- *trends*: agreement of the dependence of all pairs of columns; *coverage*: share of real rows with a made neighbour; 1
  is best.
- *useful*: what a predictor that learned from made rows reaches on real ones, as a share of what real rows give.
- *copied*: share of made rows nearer to a training row than to a held-out one, 0.5 is best; the training rows
  themselves stand first.

`python bench/leaderboard.py adult --families all --budget 30s` measures a table again. Times are from a shared machine:
read them as orders of magnitude.
"""


def reference(table: Table) -> tuple[en.Dataset, en.Dataset, Reference]:
    train, test = en.read(table.train), en.read(table.test)
    assert train.schema is not None
    return train, test, Reference(train.to_arrow(), test.to_arrow(), train.schema, targets=table.targets[:1], seed=0)


def numbers(found: Judgement) -> dict[str, float]:
    """Every measure by name."""
    return {m.name: round(float(m.value), 4) for m in found.measures}


def ours(table: Table, name: str, budget: str) -> dict[str, object]:
    train, test, real = reference(table)
    began, cpu = time.perf_counter(), time.process_time()
    model = en.fit(train, name, budget=budget, seed=0)
    times = {"fit s": round(time.perf_counter() - began, 1), "fit cpu s": round(time.process_time() - cpu, 1)}
    began = time.perf_counter()
    made = model.sample(MADE, seed=1)
    times["sample s"] = round(time.perf_counter() - began, 1)
    sort = model.can.get("log_prob")
    began = time.perf_counter()
    likelihood = (model.log_prob(test), sort) if sort else ()
    times["score s"] = round(time.perf_counter() - began, 1)
    return {**numbers(judge(real, made.to_arrow(), *likelihood)), **times}


def theirs(table: Table, name: str, python: str) -> dict[str, object] | str:
    outcome = rival(table, name, python)
    if isinstance(outcome, str):
        return outcome
    made, times = outcome
    _, _, real = reference(table)
    made = made.reindex(columns=table.train.columns)
    for column in made:
        if pd.api.types.is_integer_dtype(table.train[column]):
            made[column] = pd.to_numeric(made[column]).round().astype("Int64")
    rows = en.read(made, kinds=None).to_arrow().cast(real.train_table.schema, safe=False)
    return {**numbers(judge(real, rows)), **{key: round(value, 1) for key, value in times.items()}}


def stored() -> dict[tuple[str, str], dict]:
    if not STORE.exists():
        return {}
    lines = [json.loads(line) for line in STORE.read_text().splitlines()]
    return {(line["table"], line["generator"]): line for line in lines}


def keep(table: str, generator: str, result: dict) -> None:
    every = stored()
    every[table, generator] = {"table": table, "generator": generator, **result}
    STORE.write_text("".join(json.dumps(every[key]) + "\n" for key in sorted(every)))
    print(table, generator, result, flush=True)


def page() -> str:
    """The leaderboard in Markdown."""
    every = list(stored().values())
    budgets = sorted({line["budget"] for line in every if "budget" in line})
    parts = [HEAD.format(budget=" or ".join(budgets))]
    for table in TABLES:
        lines = [line for line in every if line["table"] == table]
        if lines:
            lines.sort(key=lambda line: (line["generator"] != CEILING, line["two-sample test"]))
            rows = [["generator", *COLUMNS.values()], ["---"] * (len(COLUMNS) + 1)]
            rows += [[titled(line), *(shown(name, line.get(name)) for name in COLUMNS)] for line in lines]
            parts.append(f"\n## {table}\n\n" + "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n")
    return "".join(parts)


def titled(line: dict) -> str:
    name = str(line["generator"])
    return name if line.get("rival") or name == CEILING else f"`{name}`"


def shown(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1f}" if name == "bits" or name.endswith(" s") else f"{value:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", help=", ".join(TABLES))
    parser.add_argument("--families", nargs="*", default=[], help='names of families, or "all"')
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--rivals", nargs="*", default=[])
    parser.add_argument("--rival-python")
    options = parser.parse_args()
    if unknown := set(options.tables) - set(TABLES):
        parser.error(f"no table {', '.join(unknown)}; there are {', '.join(TABLES)}")
    names = list(en.families.TABLE) if options.families == ["all"] else options.families
    for place in options.tables:
        table = TABLES[place]()
        if options.families:
            real = reference(table)[2]
            keep(place, CEILING, numbers(judge(real, ceiling(real, MADE))))
        for name in names:
            try:
                keep(place, name, {"budget": options.budget, **ours(table, name, options.budget)})
            except CapabilityError as error:
                print(place, name, "cannot:", str(error).splitlines()[2].strip())
        for name in options.rivals:
            outcome = theirs(table, name, options.rival_python)
            if isinstance(outcome, str):
                print(place, name, "skipped:", outcome)
            else:
                keep(place, name, {"rival": True, **outcome})
    (DOCS / "leaderboard.md").write_text(page())
    print(json.dumps({"bench": "leaderboard", "lines": len(stored())}))


if __name__ == "__main__":
    main()
