"""What each row of a step has to answer, and how wrong the network is.

Rows of a step are of two sorts. Some have some of their classes masked and learn the others' logits; the rest have
their numbers moved towards noise and learn the field. What else a row shows is drawn so that every question asked later
is met in learning:

- classes: half of the rows show the first few in the standing order, half a random set;
- numbers move with all classes shown, for that is when they are drawn;
- in a share of the rows (`evidence`) some numbers stay clean, as evidence; in a part of these others, and classes, are
  hidden, so that the field of some numbers without the others is learned too;
- with `together`, classes are masked and numbers noised at one time, in a share of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ensample.families.field.coupling import Coupling
from ensample.families.field.mean import mean_target
from ensample.families.field.network import Conditional, FieldNet, Seen
from ensample.families.field.parameterisation import Parameterisation
from ensample.families.field.view import View
from ensample.solvers.paths import Path

CLASS_SHARE = 0.5
"""Share of the rows that learn classes, where there are numbers too."""
TOGETHER_SHARE = 0.6
"""Share of the rows that learn both at one time, where that is asked for."""
HIDDEN_SHARE = 0.3
"""Part of the rows with evidence in which something is hidden."""


@dataclass(frozen=True)
class Learning:
    """How rows are prepared: `evidence` and `drop` are shares of rows, see `Field`; of `view` only existence counts.

    `pooled`: whether targets are expectations over the batch, see `expected`; noise must be independent of the rows.
    """

    view: View

    path: Path
    parameterisation: Parameterisation
    coupling: Coupling
    evidence: float
    drop: float
    together: bool
    pooled: bool


@dataclass(frozen=True)
class Task:
    """Rows as the network is to see them, and what it has to say.

    `asked` [rows, classes] are the classes to tell, among `masked` [rows] columns of which some may not exist; `dummy`
    are numbers that are alive but tell nothing, because they do not exist; `u` [rows, 1] is the place in the order of
    noise.
    """

    seen: Seen
    asked: Tensor
    masked: Tensor
    dummy: Tensor
    u: Tensor


def task(full: Seen, learning: Learning, generator: Generator) -> Task:
    """Draw what each row shows and asks; `full` is all that is known of the rows."""
    rows, numbers, classes = len(full), full.known.shape[1], full.shown.shape[1]
    u = (torch.randperm(rows, generator=generator)[:, None] + _uniform((rows, 1), generator)) / rows
    of_classes = torch.full((rows, 1), classes > 0 and numbers == 0)
    if classes and numbers:
        of_classes = torch.arange(rows)[:, None] < round(CLASS_SHARE * rows)
    both = torch.zeros(rows, 1, dtype=torch.bool)
    if learning.together and classes and numbers:
        both = _uniform((rows, 1), generator) < TOGETHER_SHARE
    has_evidence = _uniform((rows, 1), generator) < learning.evidence
    clean = full.known & has_evidence & _some(rows, numbers, generator)
    hides = has_evidence & (_uniform((rows, 1), generator) < HIDDEN_SHARE)
    hidden = hides & _some(rows, numbers, generator)
    shown = torch.where(
        of_classes, _prefix_or_set(rows, classes, generator), ~(hides & _some(rows, classes, generator))
    )
    shown = torch.where(both, _uniform((rows, classes), generator) >= u, shown)
    # what depends on a state is seen only with it: else its absence would tell of the state
    shown = shown & learning.view.decided(shown, learning.view.classes)
    masked = (~shown).sum(1)
    shown = full.shown & shown
    decided = learning.view.decided(shown, learning.view.numbers)
    clean &= decided
    alive = full.known & ~clean & ~hidden & (~of_classes | both)
    dummy = both & ~full.known & ~decided
    seen = replace(full, known=clean, alive=alive | dummy, codes=torch.where(shown, full.codes, 0), shown=shown)
    if learning.drop and full.given.shape[1]:
        kept = _uniform((rows, 1), generator) >= learning.drop
        seen = replace(seen, given=full.given * kept)
    return Task(seen, full.shown & ~shown & (of_classes | both), masked, dummy, u)


def errors(net: FieldNet, full: Seen, learning: Learning, generator: Generator, slopes: bool = True) -> Tensor:
    """Loss of each row [rows]: squared error of its numbers and nats of its classes.

    `slopes` is off where only the instant field is judged and not what lies between two times.
    """
    todo = task(full, learning, generator)
    path, parameterisation, seen = learning.path, learning.parameterisation, todo.seen
    t = torch.where(seen.alive.any(1, keepdim=True), path.times(todo.u), 1.0)
    noise = torch.randn(full.values.shape, generator=generator)
    data = torch.where(todo.dummy, torch.randn(full.values.shape, generator=generator), full.values)
    if noise.shape[1]:
        moving = torch.where(seen.alive, data, 0.0)
        noise = learning.coupling(moving, noise, seen)
    x = path.alpha(t) * data + path.sigma(t) * noise
    if learning.pooled and noise.shape[1]:
        data, noise = expected(x, data, noise, todo, path, t)
    field = Conditional(net, path, parameterisation, seen)
    target = parameterisation.target(data, noise, path, t)
    if parameterisation.jumps and slopes:
        output, logits, target = mean_target(field, x, t, target, generator)
    else:
        output, logits = field.output(x, t, t if parameterisation.jumps else None)
    square = torch.where(seen.alive & ~todo.dummy, (output - target).square(), 0.0).sum(1)
    total = parameterisation.weight(path, t).squeeze(1) * square
    return total + _nats(net.logits(logits), full, todo)


def expected(x: Tensor, data: Tensor, noise: Tensor, todo: Task, path: Path, t: Tensor) -> tuple[Tensor, Tensor]:
    """Expected data and noise of each x [rows, numbers] if data were the batch's: stable targets (Xu et al. 2023).

    `E[x_0 | x_t] = sum_i w_i x_0^i`, `w_i ~ exp(-|x_t - alpha x_0^i|^2 / (2 sigma^2))` over the rows of which the same
    is seen. It says what the row itself says in the mean, with far less noise where rows overlap; where they do not, it
    is the row itself.
    """
    seen = todo.seen
    rows = torch.nonzero(seen.alive.any(1) & ~todo.dummy.any(1))[:, 0]
    part, alpha, sigma = seen.take(rows), path.alpha(t[rows]), path.sigma(t[rows])
    x, clean = torch.where(part.alive, x[rows], 0.0), torch.where(part.alive, data[rows], 0.0)
    scale = alpha / sigma.square()  # |x|^2 is the same for all i and falls out
    left, right = [scale * x, -0.5 * alpha * scale], [clean, clean.square().sum(1, keepdim=True)]
    weight = torch.cat(left, 1) @ torch.cat(right, 1).T
    label = part.labels()
    if bool((label != label[:1]).any()):
        weight.masked_fill_(label[:, None] != label, -torch.inf)
    weight = weight.softmax(1)
    mean = weight @ clean
    data, noise = data.clone(), noise.clone()
    data[rows], noise[rows] = mean, (x - alpha * mean) / sigma
    return data, noise


def _nats(logits: tuple[Tensor, ...], full: Seen, todo: Task) -> Tensor:
    """Nats of the classes asked, over the masked share of the columns, [rows]: an unbiased guess of the row's nats.

    The share counts columns that do not exist: a weight that told them apart would bend the states' probabilities.
    """
    if not logits:
        return torch.zeros(len(full))
    parts = [F.cross_entropy(part, full.codes[:, i], reduction="none") for i, part in enumerate(logits)]
    told = torch.where(todo.asked, torch.stack(parts, 1), 0.0).sum(1)
    return told * (len(logits) / todo.masked.clamp(min=1))


def _uniform(shape: tuple[int, ...], generator: Generator) -> Tensor:
    return torch.rand(shape, generator=generator)


def _some(rows: int, columns: int, generator: Generator) -> Tensor:
    """A random set of each row's columns, of any size alike."""
    return _uniform((rows, columns), generator) < _uniform((rows, 1), generator)


def _prefix_or_set(rows: int, columns: int, generator: Generator) -> Tensor:
    """Which classes are shown: fewer than all, the first ones or any, bool [rows, columns]."""
    count = torch.randint(max(1, columns), (rows, 1), generator=generator)
    rank = torch.where(
        _uniform((rows, 1), generator) < 0.5,
        torch.arange(columns).expand(rows, -1),
        _uniform((rows, columns), generator).argsort(1),
    )
    return rank < count
