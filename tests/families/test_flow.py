"""Normalising flows: closed forms, Jacobians, inverses, starts from data, known laws, classes, given fields."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy import stats
from tests.laws.cases import everything, generator, given_records, toy_records

from ensample.budget import Budget, Clock
from ensample.errors import InputError
from ensample.events import Batch, Continuous, Discrete, Lattice, Mixed, Span, unknown
from ensample.families.flow.classes import Classes, classes_of
from ensample.families.flow.family import Flow
from ensample.families.flow.model import FlowDistribution
from ensample.families.flow.steps import NORMS, ORDERS, TRANSFORMS, Plan, compose
from ensample.families.flow.transforms.autoregressive import Autoregressive, Inverted
from ensample.families.flow.transforms.base import Composed, Transform
from ensample.families.flow.transforms.margins import Margins
from ensample.families.flow.transforms.mixing import Mixing
from ensample.families.flow.transforms.norms import ActNorm, BatchNorm
from ensample.families.flow.transforms.scalar import Affine
from ensample.kinds.records import ABSENT, Records
from ensample.nets.random import seeded
from ensample.nets.staircase import Conditioner
from ensample.run import Run
from ensample.train import learn

DIMS, CONTEXT, ROWS = 4, 2, 6
SMALL = {"width": 16, "depth": 1, "layers": 2, "margins": 0, "waves": 4, "batch_size": 256, "learning_rate": 0.02}
NUMBER = Continuous(Lattice(-8000, 8000, scale=1000.0))


@pytest.fixture
def double():
    """Networks and data of float64, so that derivatives and inverses are seen to many digits."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def fit(records: Records, steps: int, **options: object) -> FlowDistribution:
    return learn(Flow(**{**SMALL, **options}), records, 0, Run(Clock(Budget(steps=steps))))


def random_flow(transform: str, **options: object) -> Composed:
    """A flow of everything there is, far from the identity, started from data."""
    plan = {"layers": 2, "width": 12, "depth": 2, "bins": 5, "bound": 4.0, "margins": 6, "waves": 2}
    plan |= {"norm": "act", "mixing": True, "permute": "random", "dropout": 0.0, **options}
    flow = compose(Plan(dims=DIMS, context=CONTEXT, transform=transform, **plan), generator(0))
    flow.begin(torch.randn(500, DIMS, generator=generator(1)).t(), None, torch.zeros(CONTEXT, 500))
    with torch.no_grad():
        for weight in flow.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=generator(2))
    return flow.eval()


def some_rows(pattern: bool) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
    """(x, exists, context) as transforms take them; with `pattern` each row has numbers of its own."""
    noise = generator(3)
    x = 1.5 * torch.randn(DIMS, ROWS, generator=noise)
    exists = torch.rand(DIMS, ROWS, generator=noise) < 0.6 if pattern else None
    return x if exists is None else x * exists, exists, torch.randn(CONTEXT, ROWS, generator=noise)


def jacobian(f: Transform, x: torch.Tensor, exists: torch.Tensor | None, context: torch.Tensor) -> torch.Tensor:
    """[rows, dims of y, dims of x] by autograd."""
    whole = torch.autograd.functional.jacobian(lambda v: f(v, exists, context)[0], x)
    return torch.stack([whole[:, r, :, r] for r in range(x.shape[1])])


@pytest.mark.parametrize("pattern", [False, True], ids=["all", "some"])
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_law_2_log_determinants_and_inverses(transform, pattern, double):
    flow = random_flow(transform)
    x, exists, context = some_rows(pattern)
    y, log_det = (part.detach() for part in flow(x, exists, context))
    matrices = jacobian(flow, x, exists, context)
    for row, matrix in enumerate(matrices):
        there = torch.ones(DIMS, dtype=torch.bool) if exists is None else exists[:, row]
        expected = torch.linalg.slogdet(matrix[there][:, there]).logabsdet
        assert log_det[row].item() == pytest.approx(expected.item(), abs=1e-6)
        assert not matrix[there][:, ~there].any() and not y[~there, row].any()
    back, back_det = flow.inverse(y, exists, context)
    assert torch.allclose(back, x, atol=1e-6) and torch.allclose(back_det, -log_det, atol=1e-6)
    again, _ = flow(flow.inverse(x, exists, context)[0], exists, context)
    assert torch.allclose(again, x, atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_law_2_norms(norm, double):
    flow = random_flow("realnvp", norm=norm, margins=0, mixing=False, permute="reverse")
    x, exists, context = some_rows(True)
    y, log_det = flow(x, exists, context)
    back, back_det = flow.inverse(y, exists, context)
    assert torch.allclose(back, x, atol=1e-8) and torch.allclose(back_det, -log_det, atol=1e-8)
    kinds = {"none": (), "act": (ActNorm,), "batch": (BatchNorm,)}[norm]
    assert sum(isinstance(part, kinds) for part in flow.parts) == (2 if kinds else 0)


def test_law_15_autoregressive_transforms_look_back_alone(double):
    plan = Plan(DIMS, CONTEXT, "maf", 1, 12, 2, 5, 4.0, 0, 0, "none", False, "random", 0.0)
    order = ORDERS["random"](DIMS, 0)
    with seeded(generator(4)):
        (step,) = TRANSFORMS["maf"](plan, order)
    x, _, context = some_rows(False)
    sorted_ = jacobian(step, x, None, context)[:, order.order][:, :, order.order]
    assert not sorted_.triu(1).any() and bool((sorted_.diagonal(dim1=1, dim2=2) > 0).all())
    assert bool((sorted_.tril(-1) != 0).any())


def test_iaf_is_maf_backwards(double):
    with seeded(generator(5)):
        net = Conditioner.causal([1] * DIMS, [2] * DIMS, CONTEXT, width=10, depth=2)
    maf = Autoregressive(Affine(), torch.tensor([2, 0, 3, 1]), net)
    x, exists, context = some_rows(True)
    forth, back = maf(x, exists, context), Inverted(maf).inverse(x, exists, context)
    assert torch.equal(forth[0], back[0]) and torch.equal(forth[1], back[1])
    z, log_det = Inverted(maf)(forth[0], exists, context)
    assert torch.allclose(z, x, atol=1e-10) and torch.allclose(log_det, -forth[1], atol=1e-10)


def test_the_affine_map_has_bounded_slopes(double):
    x, theta = torch.randn(2, 3), torch.randn(2, 2, 3) * 3
    theta[0, 0, 0] = 1e6
    y, log_slope = Affine().forward(x, theta)
    a = theta[:, 0] / (1 + theta[:, 0].abs() / 5)
    assert torch.allclose(y, a.exp() * x + theta[:, 1]) and torch.allclose(log_slope, a)
    assert float(log_slope.max()) <= 5.0
    theta[0, 0, 0] = 0.5
    assert torch.autograd.gradcheck(Affine().forward, (x.requires_grad_(), theta.requires_grad_()))


def test_mixing_is_a_product_of_triangles(double):
    with seeded(generator(6)):
        mixing = Mixing(torch.tensor([1, 3, 0, 2]))
    x, _, context = some_rows(False)
    y, log_det = mixing(x, None, context)
    matrix = jacobian(mixing, x, None, context)[0]
    assert torch.allclose(matrix @ x, y)
    assert log_det[0].item() == pytest.approx(float(mixing.log_diagonal.detach().sum()))
    assert bool((matrix != 0).all()), "all numbers meet"


def test_actnorm_starts_at_mean_0_and_variance_1_of_what_exists():
    x = 3 + 2 * torch.randn(DIMS, 400, generator=generator(7))
    exists = torch.rand(x.shape, generator=generator(8)) < 0.5
    exists[3] = False
    norm = ActNorm(DIMS)
    norm.start(x * exists, exists)
    y, log_det = (part.detach() for part in norm(x * exists, exists, torch.zeros(0, 400)))
    for row, there in zip(y[:3], exists[:3], strict=True):
        assert float(row[there].mean()) == pytest.approx(0.0, abs=1e-5)
        assert float(row[there].var(correction=0)) == pytest.approx(1.0, abs=1e-4)
    assert not y[~exists].any() and bool(torch.isfinite(log_det).all())
    constant = ActNorm(1)
    constant.start(torch.full((1, 5), 3.0), None)
    assert bool(torch.isfinite(constant(torch.full((1, 5), 3.0), None, torch.zeros(0, 5))[0]).all())


def test_batch_norm_uses_the_batch_in_learning_and_running_means_after():
    norm, x = BatchNorm(2), 5 + 3 * torch.randn(2, 256, generator=generator(9))
    norm.start(10 + x, None)
    y, log_det = (part.detach() for part in norm.train()(x, None, torch.zeros(0, 256)))
    assert float(y.mean(1).abs().max()) < 1e-5 and float(log_det[0]) == pytest.approx(-2 * math.log(3), abs=0.2)
    before = float(norm.mean[0])
    for _ in range(200):
        norm(x, None, torch.zeros(0, 256))
    assert before > 14 and norm.mean[0].item() == pytest.approx(float(x[0].mean()), abs=0.01)
    calm, _ = norm.eval()(x, None, torch.zeros(0, 256))
    assert torch.allclose(calm, y, atol=0.01)


def test_margins_start_at_the_quantiles():
    x = torch.exp(0.7 * torch.randn(1, 20_000, generator=generator(10))) - 1.5
    margins = Margins(1, 40, 5.0)
    margins.start(x, None)
    y, log_slope = (part.detach() for part in margins(x, None, torch.zeros(0, x.shape[1])))
    assert stats.kstest(x[0], "norm").statistic > 0.2 and stats.kstest(y[0], "norm").statistic < 0.005
    entropy = 0.5 * math.log(2 * math.pi * math.e * 0.49)  # of the logarithm, whose mean is 0
    nats = 0.5 * y.square() + 0.5 * math.log(2 * math.pi) - log_slope
    assert float(nats.mean()) == pytest.approx(entropy, abs=0.02)


def test_margins_reach_as_far_as_the_data(double):
    margins, x = Margins(2, 8, 5.0), torch.tensor([[-2.0, 0.0, 1.0, 20.0], [-3.0, -1.0, 0.0, 4.0]])
    margins.start(x, None)
    assert margins.scale[:, 0].tolist() == [4.4, 1.0]
    y, log_det = margins(x, None, torch.zeros(0, 4))
    assert y.abs().max().item() < 3
    matrices = jacobian(margins, x, None, torch.zeros(0, 4))
    assert torch.allclose(log_det, torch.linalg.slogdet(matrices).logabsdet, atol=1e-9)
    back, back_det = margins.inverse(y, None, torch.zeros(0, 4))
    assert torch.allclose(back, x) and torch.allclose(back_det, -log_det, atol=1e-9)


def test_margins_of_what_exists_alone():
    x = torch.randn(1, 5_000, generator=generator(11)) * 0.3 + 1
    exists = torch.arange(5_000)[None] % 2 == 0
    whole, half = Margins(1, 10, 5.0), Margins(1, 10, 5.0)
    half.start(x * exists, exists)
    whole.start(x[:, ::2], None)
    assert torch.equal(whole.theta, half.theta)
    nothing = Margins(1, 10, 5.0)
    nothing.start(torch.zeros(1, 3), torch.zeros(1, 3, dtype=torch.bool))
    y, _ = nothing(torch.tensor([[-1.0, 0.0, 2.0]]), None, torch.zeros(0, 3))
    assert torch.allclose(y, torch.tensor([[-1.0, 0.0, 2.0]]), atol=0.3)


@pytest.fixture(scope="module")
def gaussian() -> tuple[FlowDistribution, np.ndarray, Records]:
    """A flow of affine steps on an affine law: x ~ N(0, A A^T)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8_000, 3)) @ np.array([[1.0, 0.8, 0.0], [0.0, 0.5, -0.7], [0.0, 0.0, 0.4]])
    records = Records(Mixed(tuple(Span(str(j), NUMBER) for j in range(3))), np.round(x * 1000).astype(np.int64))
    return fit(records, 250, transform="maf", waves=0), x, records


def test_law_5_a_gaussian_law_is_learned_to_its_entropy(gaussian):
    module, x, records = gaussian
    batch, covariance = records.batch(slice(0, 4_000)), np.cov(x.T)
    log_prob = module.log_prob(batch)
    exact = stats.multivariate_normal(np.zeros(3), covariance).logpdf(x[:4_000])
    assert abs(float((log_prob - torch.from_numpy(exact)).mean())) < 0.02
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * covariance)[1]
    assert -float(log_prob.mean()) == pytest.approx(entropy, abs=0.05)
    made = module.sample(20_000, generator(0)).cells.numpy() / 1000
    assert np.abs(np.cov(made.T) - covariance).max() < 0.06


def test_places_are_standard_normal_and_lead_back(gaussian):
    module, _, records = gaussian
    batch = records.batch(slice(0, 1_500))
    places = module.encode(batch)
    assert float((torch.cov(places.T) - torch.eye(3)).abs().max()) < 0.12
    assert torch.equal(module.decode(places, generator(0)).cells, batch.cells)


@pytest.mark.parametrize("transform", ["spline-coupling", "iaf"])
def test_law_5_a_bent_law_is_learned(transform):
    rng = np.random.default_rng(1)
    x = rng.normal(size=4_000)
    y = x * x / 2 - 0.5 + 0.4 * rng.normal(size=4_000)
    records = Records(Mixed((Span("x", NUMBER), Span("y", NUMBER))), np.round(np.stack([x, y], 1) * 1000).astype(int))
    module = fit(records, 200, transform=transform, width=32, layers=3, mixing=transform == "iaf")
    entropy = math.log(2 * math.pi * math.e) + math.log(0.4)
    gap = -float(module.log_prob(records.batch()).mean()) - entropy
    assert -0.05 < gap < (0.1 if transform == "spline-coupling" else 0.5), gap


CLASSES = Mixed(
    (
        Span("a", Discrete(3)),
        Span("b?", Discrete(2)),
        Span("b", NUMBER, (1, (1,))),
        Span("c", Discrete(2), (0, (1, 2))),
        Span("d", NUMBER),
    )
)


def mixed_table(rows: int) -> np.ndarray:
    """c exists unless a is 0 and then leans on it; b exists half the time and has its mean by a; d follows b."""
    rng = np.random.default_rng(2)
    a = rng.choice(3, rows, p=[0.5, 0.3, 0.2])
    c = np.where(a == 0, ABSENT, rng.random(rows) < np.where(a == 1, 0.1, 0.7))
    has = rng.random(rows) < 0.5
    b = np.round(1000 * (a - 1 + 0.3 * rng.normal(size=rows))).astype(np.int64)
    d = np.round(1000 * (np.where(has, b / 2000, 1.0) + 0.2 * rng.normal(size=rows))).astype(np.int64)
    return np.stack([a, has, np.where(has, b, ABSENT), c, d], 1)


@pytest.fixture(scope="module")
def mixed() -> tuple[FlowDistribution, Records]:
    records = Records(CLASSES, mixed_table(4_000))
    return fit(records, 250, transform="spline-autoregressive", waves=1), records


def test_law_5_a_mixed_table_is_learned_to_its_entropy(mixed):
    module, records = mixed
    p = np.array([0.5, 0.3, 0.2])
    classes = -(p * np.log(p)).sum() + math.log(2)
    classes += sum(w * -(q * math.log(q) + (1 - q) * math.log(1 - q)) for w, q in ((0.3, 0.1), (0.2, 0.7)))
    noise = 0.5 * math.log(2 * math.pi * math.e)
    entropy = classes + 0.5 * (noise + math.log(0.3)) + noise + math.log(0.2)
    assert -float(module.log_prob(records.batch()).mean()) == pytest.approx(entropy, abs=0.08)


def test_samples_of_a_mixed_table_have_its_shares_and_patterns(mixed):
    module, _ = mixed
    made = module.sample(6_000, generator(1))
    a, has, c = made.cells[:, 0], made.cells[:, 1] == 1, made.cells[:, 3]
    assert torch.equal(made.mask[:, 2], has) and torch.equal(made.mask[:, 3], a > 0)
    assert float((a == 0).double().mean()) == pytest.approx(0.5, abs=0.04)
    assert float(c[a == 1].double().mean()) == pytest.approx(0.1, abs=0.05)
    assert float(c[a == 2].double().mean()) == pytest.approx(0.7, abs=0.07)
    assert float(made.cells[has & (a == 2), 2].double().mean()) == pytest.approx(1000, abs=80)
    assert float(made.cells[~has, 4].double().mean()) == pytest.approx(1000, abs=60)


def test_places_of_a_mixed_table_lead_back(mixed):
    module, records = mixed
    batch = records.batch(slice(0, 600))
    places = module.encode(batch)
    assert places.shape == (600, 5) and bool((places[:, 0][~batch.mask[:, 2]] == 0).all())
    made = module.decode(places, generator(0))
    assert torch.equal(made.cells, batch.cells) and torch.equal(made.mask, batch.mask)


def test_classes_start_at_their_shares_and_own_their_share_of_places():
    event = classes_of(CLASSES)
    assert [span.exists for span in event.spans] == [None, None, (0, (1, 2))]
    with seeded(generator(12)):
        net = Conditioner.causal([3, 2, 2], [3, 2, 2], 0, width=8, depth=1)
    torch.nn.init.zeros_(net.last.weight)
    classes = Classes(event, net)
    codes = torch.tensor([[0, 0, 0]] * 6 + [[1, 1, 1]] * 3 + [[2, 1, 0]])
    known = torch.tensor([[True, True, False]] * 6 + [[True, True, True]] * 4)
    classes.begin(codes, known)
    nats = classes.nats(codes, known, torch.zeros(0, 10)).detach()
    assert math.exp(-nats[0]) == pytest.approx(6.5 / 11.5 * 6.5 / 11)
    assert math.exp(-nats[9]) == pytest.approx(1.5 / 11.5 * 4.5 / 11 * 1.5 / 5)
    places = torch.randn(20_000, 3, generator=generator(13))
    drawn, exists = classes.decode(places, torch.zeros(0, 20_000))
    shares = torch.bincount(drawn[:, 0]) / 20_000
    assert torch.allclose(shares, torch.tensor([6.5, 3.5, 1.5]) / 11.5, atol=0.015)
    assert torch.equal(exists[:, 2], drawn[:, 0] > 0)


def test_given_fields_are_looked_at():
    records = given_records(2_000)
    module = fit(records, 150, transform="spline-coupling")
    flags = Batch(torch.tensor([[0], [1]]).repeat_interleave(3_000, 0), torch.ones(6_000, 1, dtype=torch.bool))
    made = module.sample(6_000, generator(2), flags)
    share = [float((part == 0).double().mean()) for part in made.cells[:, 0].split(3_000)]
    assert share[0] > share[1] + 0.2
    same = module.log_prob(dataclasses.replace(made, cond=flags))
    other = dataclasses.replace(flags, cells=1 - flags.cells)
    assert float(same.mean()) > float(module.log_prob(dataclasses.replace(made, cond=other)).mean()) + 0.1


def test_numbers_without_bound_stay_finite(mixed):
    module, _ = mixed
    far = torch.tensor([[0, 1, 10**12, 0, -(10**12)], [2, 0, 0, 1, 5]])
    mask = torch.tensor([[True, True, True, False, True], [True, True, False, True, True]])
    assert bool(torch.isfinite(module.log_prob(Batch(far, mask))).all())


def test_margins_are_no_more_than_the_rows_bear():
    records = toy_records(500)
    assert Flow(margins=128).build(records, 0).margins == 10
    assert Flow(margins=0).build(records, 0).margins == 0
    module = fit(records, 20, margins=4, transform="glow")
    again = Flow(**{**SMALL, "margins": 4, "transform": "glow"}).restore(
        module.event, None, module.arrays(), module.facts()
    )
    assert torch.equal(again.log_prob(everything()), module.log_prob(everything()))


def test_what_a_flow_refuses():
    classes = Mixed((Span("a", Discrete(3)),))
    assert "no field to learn is a number" in str(Flow().refuses(classes, None))
    assert Flow().refuses(CLASSES, None) is None
    for wrong in ({"layers": 0}, {"transform": "planar"}, {"dropout": -0.1}, {"bound": 0.0}, {"margins": -1}):
        with pytest.raises(InputError):
            Flow(**wrong)


def test_one_number_alone():
    records = Records(Mixed((Span("x", NUMBER),)), np.random.default_rng(3).integers(-900, 900, (300, 1)))
    for transform in TRANSFORMS:
        module = fit(records, 3, transform=transform)
        assert bool(torch.isfinite(module.log_prob(records.batch())).all())
        assert len(module.sample(3, generator(0))) == len(unknown(3, records.event))
