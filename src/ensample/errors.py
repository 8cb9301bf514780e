"""Errors that a user can act on: the rule, the place, what was seen against what was wanted, one fix."""

from __future__ import annotations


class EnsampleError(Exception):
    """A mistake that the user can repair, told in four parts.

    Arguments:
        rule: what must hold, as one sentence.
        place: where it does not hold (file, row, column, option).
        seen: what was found there.
        fix: one thing to do about it.

    Example:
        >>> raise InputError("A table needs at least two rows.", "people.csv", "1 row", "add rows")
        Traceback (most recent call last):
        ...
        ensample.errors.InputError: A table needs at least two rows.
          where: people.csv
          seen:  1 row
          fix:   add rows
    """

    def __init__(self, rule: str, place: str = "", seen: str = "", fix: str = "") -> None:
        self.rule, self.place, self.seen, self.fix = rule, place, seen, fix
        super().__init__(rule, place, seen, fix)

    def __str__(self) -> str:
        parts = (("where:", self.place), ("seen: ", self.seen), ("fix:  ", self.fix))
        return "\n".join([self.rule, *(f"  {label} {text}" for label, text in parts if text)])


class InputError(EnsampleError, ValueError):
    """The data, or an argument, is not what the call needs."""


class CapabilityError(EnsampleError, TypeError):
    """The family cannot do what was asked, and said so before it started."""


class MissingPackage(CapabilityError):
    """What was asked for needs a package that is not installed; the message names the extra that brings it."""


class FormatError(EnsampleError, OSError):
    """A file cannot be read or written: truncated, of a newer version, vanished, or the disk is full."""


class TrainingError(EnsampleError, RuntimeError):
    """Learning cannot go on: the loss is not finite and going back did not help."""


class Interrupted(KeyboardInterrupt):
    """A run was stopped by hand and can go on; the message says how. No part of it is lost that was kept."""
