"""Which kind each column is: recognised, or as the user says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_type_hints

import pyarrow as pa

from ensample.data import marks
from ensample.data.dialogues import is_dialogue
from ensample.data.nested import is_sequence
from ensample.data.pictures.column import batch_rows
from ensample.data.schema import FORMAT, Field, Schema
from ensample.data.texts import is_free_text
from ensample.errors import FormatError, InputError
from ensample.kinds import stepkinds
from ensample.kinds.arrow import type_from_text
from ensample.kinds.base import Kind
from ensample.kinds.boolean import Boolean
from ensample.kinds.category import Category
from ensample.kinds.constant import Constant
from ensample.kinds.datetime import Datetime
from ensample.kinds.dialogue import Dialogue
from ensample.kinds.dialogueprofile import DialogueProfile
from ensample.kinds.identifier import Identifier
from ensample.kinds.image import Image
from ensample.kinds.number import Number
from ensample.kinds.profile import MOST_LEVELS, PictureProfile, Profile, SequenceProfile, profiles
from ensample.kinds.sequence import Sequence
from ensample.kinds.series import Series
from ensample.kinds.templated import TemplatedDialogue
from ensample.kinds.text import Text, can_be
from ensample.kinds.textprofile import TextProfile
from ensample.kinds.tokens import Pretrained
from ensample.kinds.trace import IntegerTrace

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset

TABLE: dict[str, type[Any]] = {
    kind.name: kind
    for kind in (Constant, Boolean, Datetime, Identifier, Number, Category, Dialogue, Sequence, Series, Image, Text)
}
"""Name of a kind -> its class. Of two kinds that are equally sure the first one is taken."""

OF_STEPS = tuple(kind.name for kind in (Constant, Boolean, Datetime, Identifier, Number, Category))
"""Kinds that a field of steps may be."""

LABELS = ("label", "labels", "fine_label", "fine_labels", "coarse_label", "coarse_labels", "class", "target", "y")
"""Columns beside pictures that hold the number of a class if they hold numbers."""


Wishes = Mapping[str, str] | Mapping[tuple[str, ...], str] | Mapping[str | tuple[str, ...], str]
"""Field, or several fields that share a tokenizer -> name of a kind."""


def guess(dataset: Dataset, kinds: Wishes | None = None) -> Schema:
    """The schema of a data set, in one pass over its batches.

    Levels, bounds and resolution are exact over all rows; shapes (skew, spikes, hard bounds) are read off a random
    sample of at most 50,000 rows.

    Arguments:
        dataset: the records; may be larger than memory.
        kinds: field -> name of a kind, where the guess would be wrong; kinds of several forms take one behind a colon:
            "text:bytes", "text:bpe:4096". Several fields at once, `("de", "en")`, are texts that share one tokenizer.
            A field of the steps of lists is named behind its column, "series.holiday", or alone.

    Raises:
        InputError: a field or a kind is unknown, or the column cannot be that kind.
    """
    groups = [(names, kind) for names, kind in (kinds or {}).items() if isinstance(names, tuple)]
    everything = single(kinds or {})
    talks = [f.name for f in dataset.arrow_schema if is_dialogue(f.type) and everything.get(f.name) != Sequence.name]
    of_steps = stepkinds.places(dataset.arrow_schema, talks)
    _check_wishes(everything, (*dataset.names, *of_steps))
    nested = stepkinds.parted(everything, dataset.arrow_schema, of_steps)
    for column_name, own in nested.items():
        _check_steps(own, column_name)
    wished = {name: kind for name, kind in everything.items() if name not in of_steps}
    told = {f.name: Text.name for f in dataset.arrow_schema if is_free_text(f) and can_be(f.type)}
    told |= {f.name: Series.name for f in dataset.arrow_schema if marks.kind(f) == Series.name and is_sequence(f.type)}
    told |= wished
    texts = [name for name, kind in told.items() if kind.partition(":")[0] == Text.name]
    rows = None if texts else batch_rows(dataset.arrow_schema)
    lists = [name for name, kind in wished.items() if kind == Sequence.name]
    found = profiles(dataset.arrow_schema, dataset.batches(rows), texts=texts, lists=lists)
    alone = {name: profile for name, profile in found.items() if not any(name in names for names, _ in groups)}
    fitted = {
        name: fit_profile(told.get(name) or _label(name, found), profile, nested.get(name))
        for name, profile in alone.items()
    }
    for names, form in groups:
        fitted |= zip(names, _together([found[name] for name in names], form), strict=True)
    if (prose := _prose(fitted)) is not None and prose not in told:
        own = pa.schema([dataset.arrow_schema.field(prose)])
        fitted[prose] = Text.fit(profiles(own, dataset.batches(None, [prose]), texts=[prose])[prose])
    missing = dataset.spellings
    listed = []
    for column in dataset.arrow_schema:
        wording = marks.wording(column) or ""
        kind = fitted[column.name]
        if isinstance(kind, Series):
            kind = replace(kind, plan=marks.series(column) or "")
        wish = column.name in wished
        listed.append(Field(column.name, str(column.type), kind, missing.get(column.name, ""), wording, wish))
    return Schema(tuple(listed))


def single(kinds: Wishes) -> dict[str, str]:
    """The kind of each field alone.

    Example:
        >>> single({("de", "en"): "text:bpe", "stars": "category"})
        {'de': 'text:bpe', 'en': 'text:bpe', 'stars': 'category'}
    """
    return {name: kind for names, kind in kinds.items() for name in (names if isinstance(names, tuple) else (names,))}


def _together(profiles: list[Profile], kind: str) -> list[Text]:
    """Texts that share a tokenizer."""
    name, _, form = kind.partition(":")
    if name != Text.name or not form:
        place = f"kinds, fields {', '.join(profile.name for profile in profiles)}"
        fix = 'say which: "text:bpe:4096"'
        raise InputError("Fields of one kind together are texts that share a tokenizer.", place, repr(kind), fix)
    return Text.fit_all(profiles, form)


def _prose(fitted: Mapping[str, Kind]) -> str | None:
    """The one column of words, all different, of a table in which nothing else can be learned: it is text then.

    So is one of other names, all different, that is called "text".
    """
    found = {name: kind for name, kind in fitted.items() if isinstance(kind, Identifier)}
    prose = [name for name, kind in found.items() if kind.prose or (name == Text.name and can_be(kind.type))]
    others = [name for name, kind in fitted.items() if name not in prose and not _nothing(name, kind)]
    return prose[0] if len(prose) == 1 and not others else None


def _nothing(name: str, kind: Kind) -> bool:
    """Whether nothing is learned of a field, but perhaps whether it is missing."""
    return isinstance(kind, Identifier) or not (kind.spans(name) or isinstance(kind, Image))


def _label(name: str, found: Mapping[str, Profile]) -> str | None:
    """Category for numbers that are called a label, count the classes from 0 or 1, and stand beside pictures."""
    profile = found[name]
    if name.lower() not in LABELS or not any(isinstance(other, PictureProfile) for other in found.values()):
        return None
    if not isinstance(profile.trace, IntegerTrace) or not pa.types.is_integer(profile.dtype):
        return None
    low, high = profile.trace.low, profile.trace.high
    all_met = low in (0, 1) and high is not None and profile.distinct == high - low + 1
    return Category.name if all_met and high else None


def recognised(profile: Profile) -> type[Any]:
    """The kind that is surest of the column.

    Raises:
        InputError: no kind knows values of this type.
    """
    if isinstance(profile, DialogueProfile):  # lists of turns are dialogues
        return Dialogue
    if isinstance(profile, SequenceProfile):  # other lists are one thing only
        return Sequence
    if isinstance(profile, PictureProfile):  # and so are pictures
        return Image
    sure = {name: kind.recognise(profile) for name, kind in TABLE.items()}
    best = max(sure, key=lambda name: sure[name])
    if sure[best] > 0:
        return TABLE[best]
    if profile.distinct is None and isinstance(profile.dtype, pa.DataType):
        return Identifier  # more texts than can be levels
    raise InputError(
        "A column must hold numbers, texts, truths or times.",
        f"column {profile.name!r}",
        str(profile.dtype),
        "leave the column out, or turn it into several plain columns",
    )


def fit_profile(kind: str | None, profile: Profile, of_steps: Mapping[str, str] | None = None) -> Kind:
    """Fit the kind of this name, perhaps in the form behind its colon, or the one that is recognised.

    `of_steps` are names of kinds for the fields of the steps of a sequence.
    """
    name, _, form = (kind or "").partition(":")
    chosen: type[Any] = TABLE[name] if name else recognised(profile)
    if of_steps and issubclass(chosen, Sequence):
        return chosen.fit(profile, of_steps)
    fitted: Kind = chosen.fit_as(profile, form) if form else chosen.fit(profile)
    return fitted


def fit_kind(kind: str | None, column: pa.ChunkedArray | pa.Array, name: str = "column") -> Kind:
    """Fit one column in memory.

    Example:
        >>> fit_kind(None, pa.array(["b", "a", "b", None])).describe()
        '2 levels: a, b; may be missing'
    """
    free = (kind or "").partition(":")[0] == Text.name and can_be(column.type)
    return fit_profile(kind, (TextProfile if free else Profile).of(column, name))


def _check_wishes(wished: Mapping[str, str], names: tuple[str, ...]) -> None:
    for field, kind in wished.items():
        if field not in names:
            near = get_close_matches(str(field), names, n=3) or list(names[:8])
            fix = f"choose from {', '.join(near)}"
            raise InputError("A field that is given a kind must be in the data.", "kinds", repr(field), fix)
        name, colon, _ = str(kind).partition(":")
        if name not in TABLE or (colon and not hasattr(TABLE[name], "forms")):
            forms = [form for known in TABLE.values() for form in getattr(known, "forms", ())]
            fix = f"choose from {', '.join(sorted([*TABLE, *forms]))}"
            raise InputError("A kind must be one that exists.", f"kinds, field {field!r}", repr(kind), fix)


def _check_steps(wished: Mapping[str, str], column: str) -> None:
    for field, kind in wished.items():
        if kind not in OF_STEPS:
            place, fix = f"kinds, field {field!r} of {column!r}", f"choose from {', '.join(sorted(OF_STEPS))}"
            raise InputError("A field of steps is of a plain kind.", place, repr(kind), fix)


def schema_from_plain(facts: Mapping[str, Any]) -> Schema:
    """Inverse of `Schema.to_plain`: every value is checked, and a kind is looked up in `TABLE`, never imported.

    Raises:
        FormatError: the facts are not a schema, or are written by a newer version.
    """
    version = facts.get("format") if isinstance(facts, Mapping) else None
    if not isinstance(version, int) or not isinstance(facts.get("fields"), list):
        raise _damaged("schema", "no format or no fields")
    if version > FORMAT:
        fix = "read it with a newer version of ensample"
        raise FormatError(f"A schema must be of format {FORMAT} or older.", "schema", f"format {version}", fix)
    return Schema(tuple(_field(entry) for entry in facts["fields"]))


def _field(entry: Any) -> Field:
    texts = ("name", "dtype", "missing", "wording", "kind")
    if not isinstance(entry, Mapping) or not all(isinstance(entry.get(key), str) for key in texts):
        raise _damaged("schema", f"a field without {', '.join(texts)}")
    name = entry["name"]
    kind = TABLE.get(entry["kind"])
    if kind is None:
        raise _damaged(f"schema, field {name!r}", f"the kind {entry['kind']!r}")
    type_from_text(entry["dtype"])
    fitted = _restored(kind, entry.get("measured"), name)
    return Field(name, entry["dtype"], fitted, entry["missing"], entry["wording"])


def _restored(kind: type[Any], measured: Any, field: str) -> Kind:
    known = {f.name: f.default is MISSING for f in fields(kind)}  # files of before lack what was added with a default
    wanted = [name for name, needed in known.items() if needed or (isinstance(measured, Mapping) and name in measured)]
    if not isinstance(measured, Mapping) or sorted(measured) != sorted(wanted):
        raise _damaged(f"schema, field {field!r}", f"other facts than those of a {kind.name}")
    hints = get_type_hints(kind)
    checked = {name: _checked(measured[name], str(hints[name]), f"schema, field {field!r}, {name}") for name in wanted}
    if kind is Dialogue and checked["tokenizer"] == Pretrained.name:
        kind = TemplatedDialogue
    restored: Kind = kind(**checked)
    type_from_text(checked["dtype"])
    return restored


_PLAIN: dict[str, tuple[type, ...]] = {
    str(bool): (bool,),
    str(int): (int,),
    str(float): (int, float),
    str(str): (str,),
    str(int | None): (int, type(None)),
    str(float | None): (int, float, type(None)),
    str(str | None): (str, type(None)),
    str(tuple[int, ...]): (int,),
    str(tuple[str, ...]): (str,),
}


def _checked(value: Any, hint: str, place: str) -> Any:
    """The value, if it is of the type that the kind declares."""
    allowed = _PLAIN[hint]
    items = value if hint.startswith("tuple") else [value]
    if not isinstance(items, list) or not all(isinstance(item, allowed) for item in items):
        raise _damaged(place, repr(value)[:80])
    if bool not in allowed and any(isinstance(item, bool) for item in items):
        raise _damaged(place, repr(value)[:80])
    return tuple(items) if hint.startswith("tuple") else value


def _damaged(place: str, seen: str) -> FormatError:
    return FormatError("A stored schema must be whole.", place, seen, "write it anew")


__all__ = ["MOST_LEVELS", "TABLE", "fit_kind", "fit_profile", "guess", "recognised", "schema_from_plain"]
