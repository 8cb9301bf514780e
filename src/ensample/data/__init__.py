"""Records and where they come from: readers, data sets, splits."""
