"""Dialogues as texts, so that the judge of texts reads them: whole ones with the names of roles, or one reply each."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

from ensample.data.dialogues import Turns, is_dialogue, turns_of
from ensample.judge.texts.reference import Side, TextReference
from ensample.kinds.dialogue import Dialogue

if TYPE_CHECKING:
    from ensample.data.schema import Schema

REPLY = "reply"
"""Name of the column with the number of the turn that is judged, in tables of dialogues."""


def spelled(turns: Turns) -> list[str]:
    r"""Each dialogue as one text: a line for each turn, its role before it.

    Example:
        >>> spelled(Turns(pa.array(["a", "b"]), pa.array(["Hi", "Ho"]), np.array([2, 0])))
        ['a: Hi\nb: Ho', '']
    """
    lines = [f"{role}: {text}" for role, text in zip(turns.roles.to_pylist(), turns.texts.to_pylist(), strict=True)]
    return ["\n".join(lines[first:last]) for first, last in pairwise(turns.starts.tolist())]


class DialogueReference(TextReference):
    """Whole dialogues as texts. Bits are told per character of what is said: names of roles are no characters."""

    def side(self, table: pa.Table) -> Side:
        """The dialogues of a table, spelled out; a missing one is empty."""
        column = table.column(self.text) if self.text in table.column_names else None
        if column is None or not is_dialogue(column.type):
            return super().side(table)
        return Side(tuple(spelled(turns_of(column, self.text))))

    @property
    def texts_scored(self) -> list[str]:
        """What is said in each scored dialogue by those whose turns are learned."""
        kind = self.kind
        turns = turns_of(self.scored.column(self.text), self.text)
        pairs = zip(turns.roles.to_pylist(), turns.texts.to_pylist(), strict=True)
        said = ["" if kind.learned and role not in kind.learned else text for role, text in pairs]
        return ["".join(said[first:last]) for first, last in pairwise(turns.starts.tolist())]

    @property
    def kind(self) -> Dialogue:
        """The kind of the dialogues."""
        return cast(Dialogue, self.schema[self.text].kind)


class ReplyReference(DialogueReference):
    """One reply of each dialogue, at a random place: what a model of replies is judged by.

    Dialogues without a reply are left out. A made reply goes on from what was said before the real one.
    """

    def __init__(
        self,
        train: pa.Table | None,
        test: pa.Table,
        schema: Schema,
        *,
        text: str,
        given: tuple[str, ...] = (),
        seed: int = 0,
    ) -> None:
        learned = cast(Dialogue, schema[text].kind).learned
        rng = np.random.default_rng([seed, 0x7A])
        chosen = [None if table is None else _with_place(table, text, learned, rng) for table in (train, test)]
        super().__init__(chosen[0], cast(pa.Table, chosen[1]), schema, text=text, given=given, seed=seed)

    def side(self, table: pa.Table) -> Side:
        """The chosen replies of a table of dialogues, or the texts of one of replies."""
        if REPLY not in table.column_names:
            return super().side(table)
        turns = turns_of(table.column(self.text), self.text)
        places = turns.starts[:-1] + table.column(REPLY).to_numpy()
        return Side(tuple(turns.texts.take(pa.array(places)).to_pylist()))

    def replies(self, model: Any, count: int, seed: int) -> pa.Table:
        """So many replies of a model to held-out dialogues, each told what was said before the real one."""
        rows = np.sort(np.random.default_rng(seed).permutation(self.test_table.num_rows)[:count])
        asked = self.test_table.take(pa.array(rows))
        dialogues, places = asked.column(self.text).to_pylist(), asked.column(REPLY).to_pylist()
        wishes = [{name: asked.column(name)[row].as_py() for name in self.given} for row in range(len(rows))]
        turns = turns_of(asked.column(self.text), self.text)
        roles = turns.roles.take(pa.array(turns.starts[:-1] + np.array(places, np.int64))).to_pylist()
        made, groups = [""] * len(rows), dict[Any, list[int]]()
        for row, role in enumerate(roles):
            groups.setdefault((role, *wishes[row].items()), []).append(row)
        for (role, *wish), members in groups.items():
            told = [dialogues[row][: places[row]] for row in members]
            written = model.chat(told, role, where=dict(wish) or None, seed=seed + 1)
            for row, reply in zip(members, written, strict=True):
                made[row] = str(reply)
        return pa.table({self.text: pa.array(made, pa.string())})


def _with_place(table: pa.Table, text: str, learned: tuple[str, ...], rng: np.random.Generator) -> pa.Table:
    """The dialogues that have a reply, with the number of the turn that is chosen in each."""
    turns = turns_of(table.column(text), text)
    own = np.isin(turns.roles.to_numpy(zero_copy_only=False), learned)
    before = np.concatenate([[0], own.cumsum()])[turns.starts]
    counts = np.diff(before)
    rows = np.flatnonzero(counts)
    numbers = before[:-1][rows] + rng.integers(0, counts[rows])
    places = np.flatnonzero(own)[numbers] - turns.starts[:-1][rows]
    return table.take(pa.array(rows)).append_column(REPLY, pa.array(places, pa.int64()))
