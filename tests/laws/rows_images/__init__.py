"""Rows of the law table over pictures, a module a family."""
