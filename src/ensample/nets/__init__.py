"""Ordinary networks, and the table of defaults."""
