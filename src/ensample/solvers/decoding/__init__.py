"""Choosing what comes next: `processors` change a distribution, `choices` choose, `plain`, `beam`, ... write on."""

from ensample.solvers.decoding.beam import beam_search
from ensample.solvers.decoding.choices import Choice, Greedy, Noise, Sampling
from ensample.solvers.decoding.constraints import Among, Constraint
from ensample.solvers.decoding.contrastive import contrast
from ensample.solvers.decoding.grammar import Grammar
from ensample.solvers.decoding.plain import write
from ensample.solvers.decoding.processors import (
    MinP,
    NoRepeat,
    Processor,
    RepetitionPenalty,
    Temperature,
    TopK,
    TopP,
    Typical,
)
from ensample.solvers.decoding.rules import Rules
from ensample.solvers.decoding.speculative import speculate
from ensample.solvers.decoding.steps import Ended, Passage, Step, collected
from ensample.solvers.decoding.stopping import Typist, Watch, text_before

__all__ = [
    "Among",
    "Choice",
    "Constraint",
    "Ended",
    "Grammar",
    "Greedy",
    "MinP",
    "NoRepeat",
    "Noise",
    "Passage",
    "Processor",
    "RepetitionPenalty",
    "Rules",
    "Sampling",
    "Step",
    "Temperature",
    "TopK",
    "TopP",
    "Typical",
    "Typist",
    "Watch",
    "beam_search",
    "collected",
    "contrast",
    "speculate",
    "text_before",
    "write",
]
