"""Vector fields of tables: every path with every parameterisation, warps, guidance, few steps, both at one time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.laws.cases import generator, given_records, toy_event, toy_records
from tests.solvers.exact import gaussian

from ensample.budget import Budget, Clock
from ensample.errors import InputError
from ensample.events import Batch, Continuous, Discrete, Lattice, Limit, Mixed, Span, unknown
from ensample.families import Field
from ensample.families.field.coupling import optimal
from ensample.families.field.learning import Learning, Task, expected, task
from ensample.families.field.network import Seen
from ensample.families.field.parameterisation import PARAMETERISATIONS
from ensample.families.field.view import View
from ensample.families.field.warp import Warp
from ensample.kinds.records import ABSENT, Records
from ensample.run import Run
from ensample.solvers.paths import PATHS
from ensample.solvers.steps import Heun
from ensample.train import learn

STEADY = [name for name in PARAMETERISATIONS if name != "mean"]


def fit(family: Field, records: Records, steps: int) -> object:
    return learn(family, records, 0, Run(Clock(Budget.parse(f"{steps} steps"))))


def numbers(values: np.ndarray) -> Records:
    """Reals [rows, columns] on a lattice of thousandths."""
    lattice = Lattice(-9_000, 9_000, 0.0, 1_000.0)
    spans = tuple(Span(f"x{j}", Continuous(lattice)) for j in range(values.shape[1]))
    return Records(Mixed(spans), np.rint(values * 1_000).astype(np.int64))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("predict", PARAMETERISATIONS)
def test_the_way_back_from_a_target_is_the_way_to_it(path, predict):
    road, form = PATHS[path], PARAMETERISATIONS[predict]
    data, noise = torch.randn(2, 200, 3, generator=generator(0), dtype=torch.float64)
    t = torch.linspace(max(road.first, 0.01), 0.99, 200, dtype=torch.float64)[:, None]
    x = road.alpha(t) * data + road.sigma(t) * noise
    back = form.predict(form.target(data, noise, road, t), x, road, t)
    visible = road.alpha(t) > 0.01  # where hardly any data is left, nothing can be told of it
    for found, truth in zip(back, (data, noise), strict=True):
        assert torch.allclose(torch.where(visible, found, truth), truth, atol=1e-6)
    assert bool((form.weight(road, t) >= 0).all())


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("predict", STEADY)
def test_what_is_learned_is_what_the_sampler_follows(path, predict):
    """Least squares on targets, line by line at each time, gives the exact field of a Gaussian, and its samples."""
    road, form, exact = PATHS[path], PARAMETERISATIONS[predict], gaussian(PATHS[path])
    data = exact.sample(400, generator(0))
    data = (data - data.mean()) / data.std() * 0.6 + 0.7
    noise = torch.randn(400, 1, generator=generator(1), dtype=torch.float64)
    noise = noise - noise.mean() - ((noise * (data - 0.7)).mean() / 0.36) * (data - 0.7)
    noise = noise / noise.std()

    class Fitted:
        path = road

        def predict(self, x, t):
            at = road.alpha(t) * data + road.sigma(t) * noise
            design = torch.cat([at, torch.ones_like(at)], 1)
            line = torch.linalg.lstsq(design, form.target(data, noise, road, t)).solution
            return form.predict(torch.cat([x, torch.ones_like(x)], 1) @ line, x, road, t)

    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    for t in (0.1, 0.5, 0.9):
        when = torch.tensor([t], dtype=torch.float64)
        for found, truth in zip(Fitted().predict(x, when), exact.predict(x, when), strict=True):
            if float(road.alpha(when)) > 0.05 or truth is not found:
                assert torch.allclose(found, truth, atol=2e-2, rtol=1e-2)
    start = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None] * float(road.spread(torch.ones(1)))
    grid = road.grid(60)
    made, truth = Heun()(Fitted(), start, grid, generator(0)), Heun()(exact, start, grid, generator(0))
    assert torch.allclose(made, truth, atol=3e-2)


def test_a_warp_makes_any_column_normal_and_keeps_its_slope():
    rng = np.random.default_rng(0)
    cells = np.concatenate([np.rint(rng.lognormal(3, 1, 4_000)), np.full(1_500, 40)]).astype(np.int64)
    warp = Warp.fit(Continuous(Lattice(0, int(cells.max()))), cells, 64)
    score = warp.score(torch.from_numpy(cells) + torch.rand(len(cells), generator=generator(0)) - 0.5)
    assert abs(float(score.mean())) < 0.02 and float(score.std()) == pytest.approx(1.0, abs=0.02)
    at = torch.tensor([-50.0, -0.5, 3.2, 40.1, 77.7, 3e3, 1e5], dtype=torch.float64)
    assert torch.allclose(warp.position(warp.score(at)), at, rtol=1e-9)
    h = 1e-5
    inside = at[2:]
    slope = (warp.score(inside + h) - warp.score(inside - h)) / (2 * h)
    assert torch.allclose(warp.log_slope(inside).exp(), slope, rtol=1e-4)
    assert bool((warp.score(torch.arange(-100.0, 5e3)).diff() > 0).all())


def test_a_gaussian_is_learned_to_its_closed_form():
    cov = np.array([[1.0, 0.8], [0.8, 1.0]])
    rng = np.random.default_rng(0)
    rows = rng.multivariate_normal([0, 0], cov, 4_000)
    family = Field(width=32, layers=1, waves=0, knots=0, tokens=0, evidence=0.6, learning_rate=0.01, batch_size=256)
    model = fit(family, numbers(rows), 900)
    test = rng.multivariate_normal([0, 0], cov, 300)
    log_p = model.log_prob(numbers(test).batch()) + 2 * np.log(1_000)
    truth = -0.5 * np.einsum("ij,jk,ik->i", test, np.linalg.inv(cov), test) - np.log(2 * np.pi * np.sqrt(0.36))
    assert float((torch.from_numpy(truth) - log_p).mean()) == pytest.approx(0.0, abs=0.03)
    made = model.sample(4_000, generator(1)).cells.numpy() / 1_000
    assert np.allclose(np.cov(made.T), cov, atol=0.2)
    half = unknown(2_000, model.event)
    half.cells[:, 0], half.mask[:, 0] = 1_000, True
    filled = model.draw(half, generator(2))[0].cells[:, 1].numpy() / 1_000
    assert filled.mean() == pytest.approx(0.8, abs=0.15) and filled.std() == pytest.approx(0.6, abs=0.15)
    part = Batch(numbers(test).batch().cells, torch.tensor([[True, False]]).expand(300, 2))
    alone = model.log_prob(part) + np.log(1_000)
    truth = torch.from_numpy(-0.5 * test[:, 0] ** 2 - 0.5 * np.log(2 * np.pi))
    assert float((truth - alone).mean()) == pytest.approx(0.0, abs=0.12)


def test_mean_velocities_make_samples_in_two_steps():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(4_000, 1)) * 0.3 + np.where(rng.random((4_000, 1)) < 0.3, -1.0, 1.0)
    family = Field(
        predict="mean",
        solver="jump",
        steps=2,
        width=48,
        layers=2,
        knots=0,
        tokens=0,
        learning_rate=5e-3,
        batch_size=256,
    )
    made = fit(family, numbers(rows), 800).sample(4_000, generator(0)).cells.numpy() / 1_000
    assert (made < 0).mean() == pytest.approx(0.3, abs=0.05)
    assert made.std() == pytest.approx(rows.std(), abs=0.08)
    between = (np.abs(made) < 0.3).mean()
    assert between < (np.abs(rows) < 0.3).mean() + 0.08


def test_guidance_sharpens_and_needs_rows_without_the_given():
    records = given_records(2_000)
    shares = {}
    for guidance in (1.0, 2.5):
        model = fit(
            Field(width=32, layers=1, learning_rate=0.02, guidance=guidance, drop=0.2, batch_size=128), records, 200
        )
        cond = Batch(torch.ones(3_000, 1, dtype=torch.int64), torch.ones(3_000, 1, dtype=torch.bool))
        shares[guidance] = float((model.sample(3_000, generator(0), cond).cells[:, 0] == 0).double().mean())
    joint = toy_records(2_000).table
    truth = (joint[joint[:, 3] == 1, 0] == 0).mean()
    assert shares[1.0] == pytest.approx(truth, abs=0.06)
    assert shares[2.5] < shares[1.0] - 0.08  # the first kind is rarer where the flag is set


def test_together_draws_are_close_to_the_data():
    family = Field(width=48, layers=2, tokens=0, together=True, steps=24, solver="heun", learning_rate=0.02)
    records = toy_records()
    made = fit(family, records, 250).sample(4_000, generator(0))
    assert torch.equal(made.mask[:, 2], made.cells[:, 1] == 1)
    for column, size in ((0, 3), (1, 2), (3, 2)):
        truth = np.bincount(records.table[:, column], minlength=size) / len(records)
        assert np.allclose(np.bincount(made.cells[:, column].numpy(), minlength=size) / 4_000, truth, atol=0.06)
    kind, flag = made.cells[:, 0].double(), made.cells[:, 3].double()
    real = np.corrcoef(records.table[:, 0], records.table[:, 3])[0, 1]
    assert float(torch.corrcoef(torch.stack([kind, flag]))[0, 1]) == pytest.approx(real, abs=0.1)


def test_what_does_not_exist_tells_nothing_before_its_state_is_known():
    """Where a state is masked, rows with and without the amount look alike, in what is shown and in what moves."""
    event = toy_event()
    view = View(event, {}, ())
    rows = 4_000
    cells = torch.zeros(rows, 4, dtype=torch.int64)
    mask = torch.ones(rows, 4, dtype=torch.bool)
    mask[:, 2] = cells[:, 1] == 1
    learning = Learning(view, PATHS["linear"], PARAMETERISATIONS["edm"], optimal, 0.5, 0.0, True, False)
    seen = []
    for state in (0, 1):
        exists = torch.full((rows, 1), state == 1)
        full = Seen(
            torch.zeros(rows, 1),
            exists,
            torch.zeros(rows, 1, dtype=torch.bool),
            torch.full((rows, 3), state),
            torch.ones(rows, 3, dtype=torch.bool),
            torch.zeros(rows, 0),
        )
        todo = task(full, learning, generator(0))
        unsure = todo.asked[:, 1] & todo.seen.alive.any(1) if state else todo.asked[:, 1]
        assert not bool((todo.seen.known[:, 0] & ~todo.seen.shown[:, 1]).any())
        seen.append((todo.masked, todo.asked[:, 1], unsure, todo.seen.alive[:, 0] & ~todo.seen.shown[:, 1]))
    assert torch.equal(seen[0][0], seen[1][0]) and torch.equal(seen[0][1], seen[1][1])
    assert bool(seen[0][3].any())  # a state still masked: the amount moves, whether it exists or not


def test_a_number_drawn_as_a_class_is_shown_only_with_its_state():
    model = Field(width=8).build(toy_records(2_000), 0)
    full = model.seen(toy_records(2_000).batch())
    learning = Learning(model.view, PATHS["linear"], PARAMETERISATIONS["edm"], optimal, 0.5, 0.0, False, False)
    shown = task(full, learning, generator(0)).seen.shown
    assert not bool((shown[:, 2] & ~shown[:, 1]).any()) and bool(shown[:, 2].any())


def seen_of(data: torch.Tensor, codes: torch.Tensor) -> Seen:
    """Rows whose numbers all move, under known classes."""
    none, yes = torch.zeros_like(data, dtype=torch.bool), torch.ones_like(data, dtype=torch.bool)
    return Seen(torch.zeros_like(data), none, yes, codes, torch.ones_like(codes, dtype=torch.bool), data[:, :0])


@pytest.mark.parametrize("name", ["linear", "ddpm", "ve"])
def test_pooled_targets_are_expectations_given_the_noisy_row(name):
    """Of a standard normal E[x_0 | x] = alpha x / (alpha^2 + sigma^2), E[e | x] = sigma x / (alpha^2 + sigma^2)."""
    path, t = PATHS[name], torch.full((4_000, 1), 0.45)
    data, noise = torch.randn(2, 4_000, 2, generator=generator(0))
    seen = seen_of(data, torch.zeros(4_000, 1, dtype=torch.int64))
    todo = Task(seen, seen.shown, torch.zeros(4_000), torch.zeros_like(seen.alive), t)
    alpha, sigma = path.alpha(t), path.sigma(t)
    x = alpha * data + sigma * noise
    found = expected(x, data, noise, todo, path, t)
    inner = x.norm(dim=1) < 2 * float(path.spread(t[:1]))  # further out rows are few
    for value, share, own in zip(found, (alpha, sigma), (data, noise), strict=True):
        truth = share * x / (alpha.square() + sigma.square())
        off = (value - truth)[inner].square().mean()
        assert float(off) < 0.04 * float((own - truth)[inner].square().mean())


def test_pooled_targets_keep_to_rows_of_which_the_same_is_seen():
    codes = torch.arange(200)[:, None] % 2
    data = 2.0 * codes - 1 + 0.01 * torch.randn(200, 1, generator=generator(0))
    seen, t = seen_of(data, codes), torch.full((200, 1), 0.9)
    dummy = torch.zeros_like(seen.alive)
    dummy[7] = True
    noise = torch.randn(200, 1, generator=generator(1))
    x = 0.1 * data + 0.9 * noise
    pooled, rest = expected(x, data, noise, Task(seen, seen.shown, torch.zeros(200), dummy, t), PATHS["linear"], t)
    assert torch.allclose(pooled, 2.0 * codes - 1, atol=0.04)
    assert torch.equal(pooled[7], data[7]) and torch.equal(rest[7], noise[7])
    assert torch.allclose(0.1 * pooled + 0.9 * rest, x, atol=1e-6)


@pytest.mark.parametrize("classes", ["masked", "flow"])
def test_classes_drawn_in_parallel_follow_what_was_learned(classes):
    records = toy_records(2_000)
    family = Field(width=32, layers=1, learning_rate=0.02, classes=classes, steps=24, batch_size=128)
    model = fit(family, records, 120)
    made = model.sample(4_000, generator(0))
    assert torch.equal(made.mask[:, 2], made.cells[:, 1] == 1)
    pairs = torch.bincount(made.cells[:, 0] * 2 + made.cells[:, 3], minlength=6) / 4_000
    truth = np.bincount(records.table[:, 0] * 2 + records.table[:, 3], minlength=6) / 2_000
    assert 0.5 * float(np.abs(pairs.numpy() - truth).sum()) < 0.05
    limits = [Limit(3, ((1, 1),))]
    held, weight = model.draw(unknown(4_000, model.event), generator(1), limits)
    assert bool((held.cells[:, 3] == 1).all())
    first = torch.bincount(held.cells[:, 0], weight.exp(), minlength=3)
    share = np.bincount(records.table[records.table[:, 3] == 1, 0], minlength=3)
    assert np.allclose((first / first.sum()).numpy(), share / share.sum(), atol=0.06)


def test_optimal_coupling_shortens_the_way_and_keeps_to_what_is_known():
    data, noise = torch.randn(2, 64, 2, generator=generator(0))
    nothing = Seen(*(torch.zeros(64, 1) for _ in range(6)))
    paired = optimal(data, noise, nothing)
    assert (paired - data).square().sum() < 0.5 * (noise - data).square().sum()
    assert torch.equal(paired.sort(0).values, noise.sort(0).values)
    codes = torch.arange(64)[:, None] % 2
    within = optimal(data, noise, replace(nothing, codes=codes))
    for code in (0, 1):
        rows = codes[:, 0] == code
        assert torch.equal(within[rows].sort(0).values, noise[rows].sort(0).values)


def test_numbers_of_few_values_are_classes_and_far_cells_still_count():
    records = toy_records(500)
    model = Field(width=8).build(records, 0)
    assert model.view.classes == (0, 1, 2, 3) and model.view.numbers == ()
    assert Field(width=8, tokens=0).build(records, 0).view.numbers == (2,)
    far = Batch(torch.tensor([[0, 1, 77, 0]]), torch.ones(1, 4, dtype=torch.bool))
    assert -40 < float(model.log_prob(far)) < -5


def test_numbers_alone_and_classes_alone():
    one = Records(Mixed((Span("a", Discrete(3)), Span("b", Discrete(2)))), np.array([[0, 1], [2, 0], [1, 1]] * 20))
    assert fit(Field(width=8), one, 5).sample(4, generator(0)).mask.all()
    table = np.arange(60).reshape(30, 2) * 100
    table[3, 1] = ABSENT
    lattice = Lattice(0, 6_000, 3_000.0, 1_500.0)
    two = Records(Mixed((Span("a", Continuous(lattice)), Span("b", Continuous(lattice)))), table)
    model = fit(Field(width=8, tokens=0), two, 5)
    assert torch.isfinite(model.log_prob(two.batch())).all()


def test_options_that_do_not_fit_together_are_refused():
    with pytest.raises(InputError, match="jump"):
        Field(solver="jump")
    with pytest.raises(InputError, match="linear"):
        Field(predict="mean", path="ve")
    with pytest.raises(InputError, match="one of linear"):
        Field(path="straight")  # type: ignore[arg-type]
