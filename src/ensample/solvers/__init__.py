"""Numerics of generation: functions of (field or logits, state, grid, generator). They know no network.

- `paths`: how data turn into noise over time;
- `field`: what a solver may ask: the data and the noise in a state;
- `steps`: solvers on a fixed grid, deterministic and stochastic; `adaptive`: one that chooses its own steps;
- `density`: the log-density of the probability-flow ODE;
- `langevin`: samples of a density from the gradient of its logarithm;
- `masked`: classes that appear one by one, or many at a time.
"""
