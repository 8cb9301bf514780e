"""Bijections of the existing coordinates of a row, given its context; composed, they are a flow."""
