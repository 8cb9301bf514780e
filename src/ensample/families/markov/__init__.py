"""Hidden Markov models: `family` learns, `model` answers, `trellis` holds the recursions."""
