"""What each family can do and how far to trust it, read from the families themselves.

`python -m ensample.capabilities` prints the table of the README as Markdown.
"""

from __future__ import annotations

from ensample.families import TABLE
from ensample.families.base import Distribution
from ensample.verbs import capabilities

VERBS = (
    "sample",
    "log_prob",
    "log_prob_interval",
    "anomaly_score",
    "classify",
    "where",
    "impute",
    "mean or mode",
    "encode",
    "graph",
    "save",
)
"""Columns of the table. `where`: sampling under conditions; `mean or mode`: `impute` with that `how`; `encode`: also
`decode`, `reconstruct`, `interpolate` and `direction`."""


def table() -> dict[str, dict[str, str]]:
    """Family -> verb -> guarantee ("exact", "bound", "estimate"; for save "yes"); what is not there is not offered.

    Example:
        >>> table()["independent"]["log_prob"]
        'exact'
    """
    return {name: of(family.distribution) for name, family in TABLE.items()}


def of(distribution: type[Distribution]) -> dict[str, str]:
    """Verbs of one kind of fitted model and how far each can be trusted."""
    found: dict[str, str] = {**capabilities(distribution, distribution.guarantees)}
    found["where"] = found.get("impute", found["sample"])
    if "impute" in found:
        found["mean or mode"] = "estimate"
    if distribution.storable:
        found["save"] = "yes"
    return {verb: found[verb] for verb in VERBS if verb in found}


def markdown() -> str:
    """The table in Markdown, one row a family.

    Example:
        >>> markdown().splitlines()[0][:29]
        '| family | sample | log_prob '
    """
    rows = [("family", *VERBS), ("---",) * (len(VERBS) + 1)]
    rows += [(f"`{name}`", *(can.get(verb, "no") for verb in VERBS)) for name, can in table().items()]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


if __name__ == "__main__":
    print(markdown())
