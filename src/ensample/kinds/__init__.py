"""Kinds of field: each turns the values of one column into cells of an event and back."""
