"""How learning is run: engines, budgets, checkpoints, guards."""
