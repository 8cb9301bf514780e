"""Kinds of field: each turns the values of one column into cells of an event and back."""

from ensample.kinds.guessing import TABLE, fit_kind, guess, schema_from_plain

__all__ = ["TABLE", "fit_kind", "guess", "schema_from_plain"]
