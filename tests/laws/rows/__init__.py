"""Rows of the law table: one module a family, each with a list `CASES`."""
