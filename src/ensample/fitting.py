"""`fit` and `resume`: from records to a model, in a run folder that outlives an interruption."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ensample.budget import Budget, Clock
from ensample.data.dataset import Dataset
from ensample.data.readers import read as read_records
from ensample.data.schema import Schema
from ensample.data.texts import TEXT
from ensample.errors import CapabilityError, InputError
from ensample.events import Array, Discrete, Mixed, Ragged
from ensample.families import TABLE, Components, Flat, Independent
from ensample.families.base import Family, LearnsArrays, LearnsSequences, TurnsWindows, refusal
from ensample.families.options import build, from_plain
from ensample.hubchat import started
from ensample.kinds import guess, schema_from_plain
from ensample.kinds.codecs import Codec, codec_of
from ensample.kinds.guessing import Wishes, single
from ensample.kinds.replies import parted
from ensample.kinds.series import Series
from ensample.kinds.text import texts_in
from ensample.kinds.textcodec import TextCodec
from ensample.model import Model
from ensample.modelfile import load, save
from ensample.run import Progress, Run
from ensample.runfolder import START, entered, limits_of, plan_of
from ensample.storage import read_json
from ensample.train import learn

DEFAULT_FAMILY = "boosted"
"""What `family=None` means on a table."""

DEFAULT_TEXTS = "sequence-blend"
"""What it means on texts, and on other sequences of one class a step."""

DEFAULT_SEQUENCES = "markov"
"""What it means on records that are sequences of anything else."""

DEFAULT_WINDOWS = "mixture"
"""What it means on windows of series, as long as their values are not too many for a row."""

DEFAULT_GIVEN = "sequence-to-sequence"
"""What it means on sequences that are given another."""

DEFAULT_PICTURES = "image-field"
"""What it means on pictures."""

PICTURES, SEQUENCES = ("image-",), ("sequence-", "series-")
"""How the names of families begin that are made for pictures, for sequences."""


def read(source: Any, kinds: Wishes | None = None, **options: Any) -> Dataset:
    """Read records and recognise what each field is.

    Arguments:
        source: a path (CSV, TSV, JSON lines, Parquet, Arrow, Feather, NPZ, text, also compressed; a folder of pictures
            or texts), an SQL address, a pandas or polars frame, an array, a dict of columns, an Arrow table, a list of
            texts, or `sample:adult`.
        kinds: overrules by field name: `{"zip": "category"}`, `{"body": "text:bpe:4096"}`; of several fields at once
            where texts are to share one tokenizer: `{("de", "en"): "text:bpe:8000"}`; of a variable inside series and
            lists `{"series.holiday": "category"}`, or its name alone where no column has it.
        options: of the reader, see `ensample.data.readers.read`.

    Returns:
        A Dataset with its `schema`.

    Raises:
        InputError: the source is not readable as a table; the message names the place and one fix.

    Example:
        >>> read({"age": [31, 45, 27, 31], "sex": ["F", "M", "M", "F"]}).names
        ['age', 'sex']
    """
    texts = [name for name, kind in single(kinds or {}).items() if str(kind).partition(":")[0] == TEXT]
    data = read_records(source, texts=(*texts, *options.pop("texts", ())), **options)
    return data.with_schema(guess(data, kinds))


def fit(
    data: Any,
    family: str | Family | None = None,
    *,
    model: Sequence[str] | None = None,
    given: Sequence[str] | str | None = None,
    budget: str | float | Budget = "5m",
    seed: int = 0,
    out: str | Path | None = None,
    start: Model | str | Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Model:
    """Learn p(model | given) from records.

    Arguments:
        data: a Dataset, or anything that `read` takes.
        family: a name (see `ensample.families.TABLE`), an object such as `Mixture(components=16)`, or None to choose.
        model: fields to learn; all that are not given if None. Of dialogues `"chat.assistant"` are the turns of a role,
            given all else that is said.
        given: fields to condition on; none if None. Of dialogues `"chat.user"` are the turns of a role.
        budget: "90s", "5m", "50 steps", "10 epochs", or several of which the first to end counts.
        seed: same data, options and seed give the same model (on one machine, with a budget that is not in seconds).
        out: run folder; a stopped run goes on from it when `fit` is called again, or by `resume`.
        start: a fitted model, or its file, to go on from: its kinds of field and its family are kept; fields that it
            does not know come after its own. Options of training may differ (`freeze`, `adapters`, `learning_rate`).
        progress: called with each `Progress` report.

    Raises:
        InputError: too few rows, unknown fields, a run folder of another run, or a `start` that does not fit.
        CapabilityError: the family cannot learn this kind of data; the message says which can.

    Example:
        >>> people = read({"age": [31, 45, 27, 31] * 20, "sex": ["F", "M", "M", "F"] * 20})
        >>> fit(people, "independent").sample(2, seed=1).names
        ['age', 'sex']
    """
    before = load(start) if isinstance(start, str | Path) else start
    if not isinstance(data, Dataset):
        data = read(data, texts=() if before is None else texts_in(before.schema))
    schema = data.schema or guess(data, None)
    if before is not None:
        before = started(before, schema)
        schema, given = _continued(schema, before), before.codec.given if given is None else given
    schema, model, given = parted(schema, model, given)
    codec = codec_of(schema, *_chosen(schema, model, given))
    named = family or default_for(codec.event, codec.given_event)
    chosen = before.family if before is not None and family is None else as_family(named, codec.event)
    _check(data, codec, chosen)
    budget = Budget.parse(budget)
    run = Run(Clock(budget), None if out is None else Path(out), progress or (lambda report: None))
    if run.folder is not None:
        plan = plan_of(data, codec, chosen, budget, seed, before)
        if (finished := entered(run.folder, plan)) is not None:
            return finished
        if before is not None:
            save(before, run.folder / START)
    fitted = _learned(data, codec, chosen, seed, run, before)
    if run.folder is not None and fitted.distribution.storable:
        save(fitted, run.folder / "model.ens")
    return fitted


def resume(out: str | Path, data: Any = None, *, progress: Callable[[Progress], None] | None = None) -> Model:
    """Go on with a stopped run; a finished one gives its model.

    Arguments:
        out: the run folder.
        data: the training records; read again from their file if None.
        progress: as in `fit`.

    Raises:
        FormatError: the folder holds no run.
        InputError: the records were not read from a file and are not given here, or are not the same.
    """
    plan = read_json(Path(out) / "run.json")
    schema = schema_from_plain(plan["schema"])
    if data is None:
        data = plan["source"]
        if not data:
            raise InputError(
                "A run goes on with its own data.", str(out), "data that was no file", "name it again (data=, --data)"
            )
    data = data if isinstance(data, Dataset) else read_records(data, texts=texts_in(schema))
    return fit(
        data.with_schema(schema),
        from_plain(TABLE[plan["family"]], plan["options"]),
        model=plan["model"],
        given=plan["given"],
        budget=Budget(**{name: float(value) for name, value in plan["budget"].items()}),
        seed=plan["seed"],
        out=out,
        start=Path(out) / START if (Path(out) / START).exists() else None,
        progress=progress,
    )


def as_family(
    family: str | Family | None, event: Mixed | Ragged | Array | None = None, settings: Mapping[str, str] | None = None
) -> Family:
    """A family object from its public name; strings go no further than this.

    For pictures and sequences a name means the family made for them that does not refuse them ("field" is
    `image-field`), if there is one. For pictures, and for sequences of one length, it is otherwise that of tables over
    a row of pixels or steps (`Flat`), or of principal components of all steps (`Components`).

    Arguments:
        family: a name, an object, which stays as it is, or None for the default.
        event: what is to be learned, if it is known.
        settings: options of a family that is named, as text.

    Raises:
        InputError: there is no such family or option; the message lists those there are.
    """
    if family is not None and not isinstance(family, str):
        return family
    name = family or DEFAULT_FAMILY
    own = [prefix + name for prefix in _prefixes(event) if prefix + name in TABLE]
    able = [other for other in own if event is not None and refusal(TABLE[other](), event, None) is None]
    windows = isinstance(event, Ragged) and event.fixed
    chosen = able[0] if able else name if not own or (windows and name in TABLE) else own[0]
    if chosen not in TABLE:
        raise InputError("A family must be known.", "family", repr(name), f"choose one of {', '.join(TABLE)}")
    made = build(TABLE[chosen], settings or {})
    if event is None or isinstance(event, Mixed) or (isinstance(event, Ragged) and not windows):
        return made
    if isinstance(made, LearnsSequences if windows else LearnsArrays):
        return made
    return Components(made) if windows and isinstance(made, TurnsWindows) else Flat(made)


def _prefixes(event: Mixed | Ragged | Array | None) -> tuple[str, ...]:
    """How the names of families begin that are made for such records."""
    if event is None or isinstance(event, Mixed):
        return ()
    return SEQUENCES if isinstance(event, Ragged) else PICTURES


def event_of(
    data: Dataset, model: Sequence[str] | None = None, given: Sequence[str] | str | None = None
) -> Mixed | Ragged | Array:
    """What one record of these fields looks like to a family; `data` has its schema."""
    assert data.schema is not None
    schema, model, given = parted(data.schema, model, given)
    return codec_of(schema, *_chosen(schema, model, given)).event


def default_for(event: Mixed | Ragged | Array, given: Mixed | Ragged | None = None) -> str:
    """The name of the family that is fitted to such records if none is named."""
    if isinstance(given, Ragged):
        return DEFAULT_GIVEN
    if isinstance(event, Mixed):
        return DEFAULT_FAMILY
    if not isinstance(event, Ragged):
        return DEFAULT_PICTURES
    if event.ordered and len(event.element) == 1 and isinstance(event.element.spans[0].event, Discrete):
        return DEFAULT_TEXTS
    able = event.fixed and refusal(as_family(DEFAULT_WINDOWS, event), event, given) is None
    return DEFAULT_WINDOWS if able else DEFAULT_SEQUENCES


def _chosen(
    schema: Schema, model: Sequence[str] | None, given: Sequence[str] | str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    conditions = (given,) if isinstance(given, str) else tuple(given or ())
    others = tuple(name for name in schema.names if name not in conditions)
    series = tuple(name for name in others if isinstance(schema[name].kind, Series))
    learned = (series or others) if model is None else tuple(model)  # what stands beside a series tells whose it is
    for name in (*learned, *conditions):
        if name not in schema.names:
            raise InputError(
                "A field must be in the data.", "model, given", repr(name), f"choose from {', '.join(schema.names)}"
            )
    if both := set(learned) & set(conditions):
        raise InputError(
            "A field is learned or given, not both.", "model, given", ", ".join(sorted(both)), "name it once"
        )
    if not learned:
        raise InputError("There must be a field to learn.", "model", "none left", "give fewer fields")
    return learned, conditions


def _check(data: Dataset, codec: Codec, family: Family) -> None:
    if len(data) < 2 and not (len(data) and isinstance(codec, TextCodec)):  # one text tells of many places
        raise InputError("Learning needs at least two rows.", data.source or "data", f"{len(data)} rows", "add rows")
    reason = refusal(family, codec.event, codec.given_event)
    if reason is not None:
        able = [name for name, other in TABLE.items() if refusal(other(), codec.event, codec.given_event) is None]
        raise CapabilityError(
            f"{family.name} cannot learn this data.",
            data.source or "data",
            reason,
            f"choose {', '.join(able) or 'other fields'}",
        )


def _continued(schema: Schema, before: Model) -> Schema:
    """The fields of the data as `before` knows them, in its order, then the new ones."""
    known = [field for field in before.schema if field.name in schema.names]
    names = [field.name for field in known]
    return Schema((*known, *(field for field in schema if field.name not in names)))


def _learned(data: Dataset, codec: Codec, family: Family, seed: int, run: Run, before: Model | None = None) -> Model:
    records = codec.encode(data)
    if isinstance(codec.event, Mixed) and len(codec.event) == 0:  # nothing to learn: the codec makes all fields
        family = as_family(Independent.name)
    distribution = learn(family, records, seed, run, None if before is None else before.distribution)
    facts = {
        "rows": len(records),
        "seconds": round(run.clock.seconds, 3),
        "seed": seed,
        "budget": limits_of(run.clock.budget),
    }
    return Model(codec, family, distribution, facts)
