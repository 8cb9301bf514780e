"""What each family can learn and do, and how far to trust it, read from the families themselves.

`python -m ensample.capabilities` prints the tables of the README as Markdown.
"""

from __future__ import annotations

from dataclasses import replace

from ensample.events import Array, Continuous, Discrete, Lattice, Mixed, Ragged, Span
from ensample.families import TABLE
from ensample.families.base import Fitted, refusal
from ensample.fitting import as_family
from ensample.verbs import Alone, capabilities, distributions

VERBS = (
    "sample",
    "log_prob",
    "log_prob_interval",
    "anomaly_score",
    "classify",
    "where",
    "impute",
    "mean or mode",
    "edit",
    "forecast",
    "generate",
    "encode",
    "graph",
    "save",
)
"""Columns of the table. `where`: sampling under conditions; `mean or mode`: `impute` with that `how`; `forecast`: of
series; `generate`: of texts, also `stream`, of dialogues `chat`; `encode`: also `decode`, `reconstruct`, `interpolate`
and `direction`."""

_NUMBER, _CLASS = Continuous(Lattice(0, 9)), Discrete(3)
_NUMBERS = Mixed((Span("x", _NUMBER), Span("y", _NUMBER)))
_CLASSES = Mixed((Span("c", _CLASS), Span("d", _CLASS)))
_HOLES = Mixed((Span("c", _CLASS), Span("s", Discrete(2)), Span("x", _NUMBER, exists=(1, (0,)))))
_TEXTS = Ragged(Mixed((Span("token", _CLASS),)), 9)
_PICTURES = Continuous(Lattice(0, 255, 127.5, 127.5), (3, 16, 16))

EVENTS: dict[str, tuple[Mixed | Ragged | Array, Mixed | Ragged | None]] = {
    "numbers": (_NUMBERS, None),
    "classes": (_CLASSES, None),
    "mixed, with missing values": (_HOLES, None),
    "given other fields": (_HOLES, _CLASSES),
    "sequences": (Ragged(_HOLES, 9), None),
    "windows of series": (Ragged(_HOLES, 4, fixed=True), None),
    "texts": (_TEXTS, None),
    "texts, given other fields": (_TEXTS, _CLASSES),
    "replies of dialogues": (replace(_TEXTS, partly=True), None),
    "texts, given a text": (_TEXTS, _TEXTS),
    "pictures": (_PICTURES, None),
    "pictures with a label": (_PICTURES, Mixed((Span("c", _CLASS),))),
}
"""What there is to learn: the event and the given one that each family is asked about."""


def table() -> dict[str, dict[str, str]]:
    """Family -> verb -> guarantee ("exact", "bound", "estimate"; for save "yes"); what is not there is not offered.

    Example:
        >>> table()["independent"]["log_prob"], table()["flat"]["forecast"]
        ('exact', 'estimate')
    """
    found = {name: [of(each) for each in distributions(family)] for name, family in TABLE.items()}
    return {name: {verb: each[verb] for verb in VERBS for each in own if verb in each} for name, own in found.items()}


def of(distribution: type[Fitted]) -> dict[str, str]:
    """Verbs of one kind of fitted model and how far each can be trusted."""
    found: dict[str, str] = {**capabilities(distribution, distribution.guarantees)}
    if "sample" in found and not issubclass(distribution, Alone):  # a picture or a text has no fields to wish for
        found["where"] = found.get("impute", found["sample"])
    if "impute" in found:
        found["mean or mode"] = "estimate"
    if distribution.storable:
        found["save"] = "yes"
    return {verb: found[verb] for verb in VERBS if verb in found}


def learns(name: str) -> dict[str, str]:
    """What a family of this name can learn, of `EVENTS`: "yes", "no", or the family that the name means there.

    Example:
        >>> found = learns("mixture")
        >>> found["numbers"], found["windows of series"], found["texts"]
        ('yes', '`flat`', 'no')
    """
    return {what: _learns(name, event, given) for what, (event, given) in EVENTS.items()}


def _learns(name: str, event: Mixed | Ragged | Array, given: Mixed | Ragged | None) -> str:
    family = as_family(name, event)
    if refusal(family, event, given) is not None:
        return "no"
    return "yes" if family.name == name else f"`{family.name}`"


def markdown() -> str:
    """Both tables in Markdown, one row a family.

    Example:
        >>> markdown().splitlines()[0][:26]
        '| family | numbers | class'
    """
    return _rows(tuple(EVENTS), {name: learns(name) for name in TABLE}) + "\n\n" + _rows(VERBS, table())


def _rows(columns: tuple[str, ...], can: dict[str, dict[str, str]]) -> str:
    rows = [("family", *columns), ("---",) * (len(columns) + 1)]
    rows += [(f"`{name}`", *(found.get(column, "no") for column in columns)) for name, found in can.items()]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


if __name__ == "__main__":
    print(markdown())
