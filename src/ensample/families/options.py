"""A family's options, read from its dataclass: what every door (command line, form, file) is generated from."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from ensample.errors import InputError
from ensample.families.base import Family


@dataclass(frozen=True)
class Option:
    """One argument of a family's constructor: its type as annotated, its default, its line of the docstring."""

    name: str
    type: Any
    default: Any
    help: str

    @property
    def wanted(self) -> str:
        """The type in words: "int", "one of full, tied", "float or none"."""
        return _words(self.type)

    @property
    def plain(self) -> Any:
        """The default as a JSON value; a family is its name."""
        if isinstance(self.default, tuple):
            return tuple(_named(part) for part in self.default)
        return _named(self.default)

    @property
    def text(self) -> str:
        """The default as it would be written."""
        return ",".join(map(str, self.plain)) if isinstance(self.plain, tuple) else str(self.plain)

    @property
    def settable(self) -> bool:
        """Whether a value can be written as text: an object (a network, another family) cannot."""
        return all(_is_plain(part) for part in _alternatives(self.type))


def options(family: type[Family]) -> tuple[Option, ...]:
    """The options of a family, in the order of its constructor.

    Example:
        >>> from ensample.families import Independent
        >>> [(o.name, o.wanted, o.default) for o in options(Independent)]
        [('bins', 'int', 256)]
    """
    hints, helps = get_type_hints(family), _argument_lines(family)
    found = []
    for f in fields(family):  # type: ignore[arg-type]
        default = f.default if f.default_factory is MISSING else f.default_factory()
        found.append(Option(f.name, hints[f.name], default, helps.get(f.name, "")))
    return tuple(found)


def build(family: type[Family], settings: Mapping[str, str], base: Family | None = None) -> Family:
    """A family object from options written as text; what they leave out is as in `base`, or by default.

    Example:
        >>> from ensample.families import Independent
        >>> build(Independent, {"bins": "64"})
        Independent(bins=64)

    Raises:
        InputError: there is no such option, its text is not of its type, or the family refuses the value.
    """
    known = {option.name: option for option in options(family) if option.settable}
    values = {}
    for name, text in settings.items():
        if name not in known:
            raise InputError(
                f'The family "{family.name}" has no option of that name.',
                f"--set {name}={text}",
                name,
                f"choose among {', '.join(known)}" if known else "leave --set out: this family has no options",
            )
        values[name] = read(known[name], text)
    try:
        return family(**values) if base is None else replace(base, **values)  # type: ignore[type-var]
    except (ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        place = " ".join(f"{name}={text}" for name, text in settings.items())
        raise InputError(
            f'The options of "{family.name}" must go together.', place, str(error), "change one"
        ) from error


def read(option: Option, text: str) -> Any:
    """The value of an option from its text.

    Raises:
        InputError: the text is not of the option's type.
    """
    for part in _alternatives(option.type):
        try:
            return _parse(part, text)
        except ValueError:
            continue
    raise InputError(
        f'The option "{option.name}" must be {option.wanted}.',
        f"--set {option.name}={text}",
        repr(text),
        f"say {option.name}={option.text}, its default, or leave it out",
    )


def to_plain(family: Family) -> dict[str, Any]:
    """The options of a family as JSON values; a family among them as its name and its own options.

    Example:
        >>> from ensample.families import Independent
        >>> to_plain(Independent(bins=8))
        {'bins': 8}
    """
    return {f.name: _plain(getattr(family, f.name)) for f in fields(family)}  # type: ignore[arg-type]


def from_plain(family: type[Family], values: Mapping[str, Any]) -> Family:
    """Inverse of `to_plain`."""
    from ensample.families import TABLE

    def restored(value: Any) -> Any:
        if isinstance(value, Mapping):
            return from_plain(TABLE[value["family"]], value["options"])
        return tuple(map(restored, value)) if isinstance(value, list | tuple) else value

    return family(**{name: restored(value) for name, value in values.items()})


def _plain(value: Any) -> Any:
    """The value of an option as a JSON value."""
    if is_dataclass(value):
        return {"family": cast(Any, value).name, "options": to_plain(cast(Any, value))}
    if isinstance(value, tuple) and any(map(is_dataclass, value)):
        return [_plain(part) for part in value]
    return value


def _named(value: Any) -> Any:
    """A family as its name, anything else as it is."""
    return cast(Any, value).name if is_dataclass(value) else value


def describe(family: type[Family]) -> str:
    """The first paragraph of a family's docstring, in one line."""
    return " ".join((inspect.getdoc(family) or "").split("\n\n")[0].split())


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _is_plain(annotation: Any) -> bool:
    if get_origin(annotation) is tuple:
        return all(_is_plain(part) for part in get_args(annotation) if part is not Ellipsis)
    return annotation in (int, float, str, bool, type(None), Family) or get_origin(annotation) is Literal


def _parse(annotation: Any, text: str) -> Any:
    """The text as this type; ValueError if it is not."""
    if get_origin(annotation) is Literal:
        for choice in get_args(annotation):
            if str(choice) == text:
                return choice
        raise ValueError(text)
    if get_origin(annotation) is tuple:
        kinds, words = get_args(annotation), text.split(",") if text else []
        kinds = kinds[:1] * len(words) if kinds[1:] == (Ellipsis,) else kinds
        return tuple(_parse(kind, word.strip()) for kind, word in zip(kinds, words, strict=True))
    if annotation is Family:
        from ensample.families import TABLE

        if text not in TABLE:
            raise ValueError(text)
        return TABLE[text]()
    if annotation in _WORDS:
        if text.lower() not in _WORDS[annotation]:
            raise ValueError(text)
        return _WORDS[annotation][text.lower()]
    return annotation(text)


_WORDS: dict[Any, dict[str, bool | None]] = {
    type(None): {"none": None},
    bool: {"true": True, "yes": True, "false": False, "no": False},
}


def _words(annotation: Any) -> str:
    parts = _alternatives(annotation)
    if len(parts) > 1:
        return " or ".join(_words(part) for part in parts)
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(annotation))
    if get_origin(annotation) is tuple:
        return "a list of " + _words(get_args(annotation)[0])
    if annotation is Family:
        return "the name of a family"
    return "none" if annotation is type(None) else getattr(annotation, "__name__", str(annotation))


def _argument_lines(family: type[Family]) -> dict[str, str]:
    """Name -> text of the "Arguments:" part of the docstrings of a family and what it inherits from."""
    lines: dict[str, str] = {}
    for part in reversed(family.__mro__[:-1]):
        lines.update(_lines_of(inspect.cleandoc(part.__doc__ or "")))
    return lines


def _lines_of(text: str) -> dict[str, str]:
    match = re.search(r"Arguments:\n((?:[ ]{4,}.*\n?|\n)+)", text)
    lines: dict[str, str] = {}
    names: list[str] = []
    for line in (match.group(1) if match else "").splitlines():
        start = re.match(r"[ ]{4}(\w+(?:, \w+)*)(?: \([^)]*\))?: (.*)", line)
        if start:
            names = start.group(1).split(", ")
            lines.update(dict.fromkeys(names, start.group(2)))
        elif line.strip():
            lines.update({name: f"{lines[name]} {line.strip()}" for name in names})
    return lines
