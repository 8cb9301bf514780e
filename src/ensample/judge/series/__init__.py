"""The judge of series and other sequences of numbers and classes."""
