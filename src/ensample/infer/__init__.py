"""Generic inference from what a distribution can do: conditions, holes, oddities."""
