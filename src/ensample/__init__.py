"""Learn the distribution behind any dataset."""
