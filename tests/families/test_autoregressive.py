"""The autoregressive family: normalisation, causality, conditionals, given fields, awkward records."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from ensample.budget import Budget, Clock
from ensample.errors import InputError
from ensample.events import Batch, Continuous, Discrete, Lattice, Limit, Mixed, Span, unknown
from ensample.families.autoregressive.cells import Reader
from ensample.families.autoregressive.family import Autoregressive
from ensample.families.autoregressive.model import BLOCK
from ensample.families.bins import fit_all
from ensample.families.orders import Orders, standing
from ensample.kinds.records import ABSENT, Records
from ensample.run import Run
from ensample.train import learn

EVENT = Mixed(
    (
        Span("kind", Discrete(3)),
        Span("amount?", Discrete(2)),
        Span("amount", Continuous(Lattice(0, 3, shift=1.5, scale=1.1)), (1, (1,))),
    )
)
SMALL = Autoregressive(width=16, batch_size=64, learning_rate=0.02)


def made_up(rows: int, seed: int = 0) -> np.ndarray:
    """Rows of a joint of three columns, the amount higher for later kinds and absent half the time."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(3, rows, p=[0.5, 0.3, 0.2])
    has = (rng.random(rows) < np.array([0.3, 0.6, 0.8])[kind]).astype(np.int64)
    amount = np.clip(kind + rng.integers(0, 2, rows), 0, 3)
    return np.stack([kind, has, np.where(has == 1, amount, ABSENT)], 1)


def learned(family: Autoregressive, records: Records, steps: int = 300, seed: int = 0):
    return learn(family, records, seed, Run(Clock(Budget(steps=steps))))


@pytest.fixture(scope="module", params=[True, False], ids=["any order", "one order"])
def model(request):
    return learned(
        Autoregressive(any_order=request.param, width=16, batch_size=64), Records(EVENT, made_up(3_000)), 500
    )


def everything() -> Batch:
    rows = [(k, 0, ABSENT) for k in range(3)] + [(k, 1, a) for k, a in itertools.product(range(3), range(4))]
    return Records(EVENT, np.array(rows, dtype=np.int64)).batch()


def test_probabilities_of_all_records_and_of_what_lies_outside_add_to_one(model):
    inside = float(model.log_prob(everything()).exp().sum())
    far = [(k, 1, a) for k in range(3) for a in (*range(-2_000, 0), *range(4, 2_004))]
    outside = float(model.log_prob(Records(EVENT, np.array(far, dtype=np.int64)).batch()).exp().sum())
    assert 0.999 < inside < 1.0
    assert inside + outside == pytest.approx(1.0, abs=2e-6)


def test_learned_shares_are_near_those_of_the_rows(model):
    rows = made_up(100_000, seed=1)
    grid = everything()
    stored = torch.where(grid.mask, grid.cells, ABSENT).numpy()
    share = np.array([(rows == row).all(1).mean() for row in stored])
    p = model.log_prob(grid).exp().numpy()
    assert np.abs(p - share).sum() < 0.12
    assert (share * np.log(np.maximum(share, 1e-12) / p)).sum() < 0.01


def test_samples_follow_the_probabilities(model):
    made = model.sample(20_000, torch.Generator().manual_seed(0))
    stored = torch.where(made.mask, made.cells, ABSENT).numpy()
    grid = everything()
    p = model.log_prob(grid).exp().numpy()
    cells = torch.where(grid.mask, grid.cells, ABSENT).numpy()
    counts = np.array([(stored == row).all(1).sum() for row in cells])
    assert counts.sum() == 20_000
    chi2 = ((counts - 20_000 * p) ** 2 / (20_000 * p)).sum()
    assert chi2 < 40  # 14 degrees of freedom: false alarm 3e-4


def test_any_set_of_columns_may_be_known():
    model = learned(Autoregressive(width=16, batch_size=64), Records(EVENT, made_up(3_000)), 500)
    grid = everything()
    p = model.log_prob(grid).exp().numpy()
    row = unknown(8_000, EVENT)
    row.cells[:, 1:] = torch.tensor([1, 2])
    row.mask[:, 1:] = True
    made, weight = model.draw(row, torch.Generator().manual_seed(1))
    assert bool((weight == 0).all()), "an any-order draw needs no weights"
    fits = ((grid.cells[:, 2] == 2) & grid.mask[:, 2]).numpy()
    share = np.bincount(made.cells[:, 0].numpy(), minlength=3) / 8_000
    assert np.abs(share - p[fits] / p[fits].sum()).max() < 0.06
    assert torch.equal(made.cells[:, 1:], row.cells[:, 1:])
    limited, weight = model.draw(unknown(500, EVENT), torch.Generator().manual_seed(1), [Limit(2, ((0, 1),))])
    accepted = limited.mask[:, 2]
    assert bool((limited.cells[accepted, 2] <= 1).all())
    assert bool((weight <= 0).all())


def wide(rows: int, columns: int = 6, seed: int = 0) -> Records:
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 40, (rows, 1)) + rng.integers(0, 9, (rows, columns))
    spans = tuple(Span(f"c{j}", Continuous(Lattice(0, 50, 25.0, 12.0))) for j in range(columns))
    return Records(Mixed(spans), table.astype(np.int64))


@torch.no_grad()
def log_p(model, seen, target, places):
    """Log-probabilities [rows, spans] of the target's bins or cells when the network looks at `seen`."""
    rows, values = model._ordered(seen, places)
    return model.outlets.log_p(model.net.states(rows), values, target.cells, model.targets.index(target.cells))


@pytest.mark.parametrize("head", ["bins", "logistic", "spline"])
@pytest.mark.parametrize("network", ["columns", "made", "transformer", "lstm"])
@pytest.mark.parametrize("any_order", [True, False])
def test_causal_to_the_bit(any_order, network, head):
    """Law 15: what comes before a coordinate does not change with it, whatever the network, head and order."""
    records = wide(300)
    family = Autoregressive(any_order=any_order, network=network, head=head, width=16, batch_size=64)
    model = learned(family, records, 20)
    batch = records.batch(slice(0, 64))
    places = model.standing.expand(64, -1)
    if any_order:
        places = Orders(EVENT6, model.order, 0.0, 0.0).places(64, torch.Generator().manual_seed(0))
    before = log_p(model, batch, batch, places)
    for j in range(6):
        cells = batch.cells.clone()
        cells[:, j] = (cells[:, j] + 17) % 48
        after = log_p(model, Batch(cells, batch.mask), batch, places)
        blind = places <= places[:, j : j + 1]
        assert torch.equal(after[blind], before[blind])
        assert bool(blind.all()) or not torch.equal(after[~blind], before[~blind])
    hidden = batch.mask.clone()
    hidden[:, 0] = False
    moved = torch.where(hidden, batch.cells, 40)
    hidden_scores = [log_p(model, Batch(cells, hidden), batch, places) for cells in (batch.cells, moved)]
    assert torch.equal(*hidden_scores), "what is not known must not matter"


EVENT6 = wide(1).event


def test_batches_of_any_size_give_the_same_number(model):
    batch = Records(EVENT, made_up(3 * BLOCK + 5, seed=2)).batch()
    whole = model.log_prob(batch)
    parts = torch.cat([model.log_prob(batch.take(slice(i, i + 37))) for i in range(0, len(batch), 37)])
    assert torch.allclose(whole, parts, rtol=1e-6, atol=1e-6)
    assert torch.allclose(
        whole[:5], torch.cat([model.log_prob(batch.take(slice(i, i + 1))) for i in range(5)]), atol=1e-6
    )


def test_log_prob_is_the_chain_of_tables(model):
    batch = Records(EVENT, made_up(40, seed=3)).batch()
    assert torch.allclose(model.log_prob(batch), super(type(model), model).log_prob(batch), atol=1e-5)


@pytest.mark.parametrize("head", ["bins", "logistic"])
@pytest.mark.parametrize("network", ["made", "transformer", "lstm"])
@pytest.mark.parametrize("any_order", [True, False])
def test_one_pass_is_the_chain_of_spans_with_any_network(any_order, network, head):
    """One by one, in any order of evidence, spans are scored as in one pass; fields given count in both."""
    rows = np.concatenate([made_up(300), np.arange(300)[:, None] % 5], 1)
    event = Mixed((*EVENT.spans, Span("more", Continuous(Lattice(0, 4, 2.0, 1.4)))))
    given = Mixed((Span("side", Discrete(2)),))
    records = Records(event, rows, given, rows[:, :1] % 2)
    family = Autoregressive(any_order=any_order, network=network, head=head, width=16, batch_size=64, pieces=3)
    model = learned(family, records, 30)
    batch = records.batch(slice(0, 60))
    assert torch.allclose(model.log_prob(batch), super(type(model), model).log_prob(batch), atol=1e-5)
    other = Batch(batch.cells, batch.mask, Batch(1 - batch.cond.cells, batch.cond.mask))
    assert not torch.allclose(model.log_prob(batch), model.log_prob(other), atol=1e-3)
    again = family.restore(event, given, model.arrays(), model.facts())
    assert torch.equal(again.log_prob(batch), model.log_prob(batch))


def test_inputs_of_scheduled_sampling_are_the_model_s_own_draws():
    """All inputs redrawn after the true ones: the first span by its own shares, the rest as `table` says."""
    model = learned(SMALL, Records(EVENT, made_up(3_000)), 200)
    batch = Records(EVENT, made_up(6_000, seed=5)).batch()
    places = model.standing.expand(len(batch), -1)
    made = model.redrawn(batch, places, 1.0, torch.Generator().manual_seed(0))
    assert torch.equal(made.mask, batch.mask)
    assert bool(model.loss(batch, places, made) > model.loss(batch, places) + 0.01)
    assert float((made.cells[:, 0] == batch.cells[:, 0]).double().mean()) == pytest.approx(0.38, abs=0.03)
    for kind, share in enumerate((0.3, 0.6, 0.8)):
        assert float(made.cells[batch.cells[:, 0] == kind, 1].double().mean()) == pytest.approx(share, abs=0.07)
    half = model.redrawn(batch, places, 0.5, torch.Generator().manual_seed(0)).cells[:, 0] == batch.cells[:, 0]
    assert float(half.double().mean()) == pytest.approx(0.69, abs=0.03)


def test_head_by_itself_depends_on_the_column():
    """Fine columns that fade out get mixtures; those that heap, end sharply or are coarse get bins."""
    rng = np.random.default_rng(0)
    normal = np.rint(rng.normal(0, 30_000, 20_000)).astype(np.int64)
    columns = [normal, normal // 100 * 100, rng.integers(0, 10**6, 20_000), normal // 1_000]
    table = np.stack(columns, 1)
    event = Mixed(tuple(Span(f"c{j}", Continuous(Lattice(-(10**5), 10**6, 0.0, 3e4))) for j in range(4)))
    module = Autoregressive(width=8).build(Records(event, table), 0)
    assert module.outlets.cellwise == [0] and module.outlets.binned == [1, 2, 3]


@pytest.mark.parametrize(
    "options", [{"network": "rnn"}, {"head": "median"}, {"dropout": 1.0}, {"network": "transformer", "width": 30}]
)
def test_impossible_options_are_refused(options):
    with pytest.raises(InputError):
        Autoregressive(**options)


def test_reader_agrees_with_bins_inside_and_outside():
    records = wide(500)
    bins = fit_all(records.event, records.table, ABSENT, 16)
    cells = torch.randint(-30, 90, (400, 6), generator=torch.Generator().manual_seed(0))
    expected = torch.stack([b.index(cells[:, j]) for j, b in enumerate(bins)], 1)
    reader = Reader(records.event.spans, bins)
    assert torch.equal(reader.index(cells), expected)
    assert torch.allclose(reader.values(cells).double(), records.event.values(cells).clamp(-8, 8), atol=1e-6)


def test_orders_are_orders_and_put_a_span_after_the_one_it_depends_on():
    for plain, evidence in ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (0.3, 0.3)):
        earlier = Orders(EVENT, (0, 1, 2), plain, evidence).earlier(4_000, torch.Generator().manual_seed(0))
        assert bool((earlier.sum((1, 2)) == 3).all())
        assert bool((earlier ^ earlier.transpose(1, 2) | torch.eye(3, dtype=torch.bool)).all())
        assert not bool(earlier[:, 1, 2].any())
        assert bool(earlier[:, 2, 1].all())
    everything_plain = Orders(EVENT6, (5, 4, 3, 2, 1, 0), 1.0, 0.0).earlier(10, torch.Generator())
    assert torch.equal(everything_plain, standing((5, 4, 3, 2, 1, 0)).expand(10, -1, -1))
    sizes = Orders(EVENT6, tuple(range(6)), 0.0, 0.0).earlier(12_000, torch.Generator().manual_seed(1))[:, 2].sum(1)
    assert torch.bincount(sizes, minlength=6).tolist() == pytest.approx([2_000] * 6, abs=200)


def test_given_fields_steer_and_may_be_missing():
    rows = made_up(2_000)
    given = Mixed((Span("kind", Discrete(3)),))
    event = Mixed((Span("amount?", Discrete(2)), Span("amount", EVENT.spans[2].event, (0, (1,)))))
    model = learned(
        SMALL, Records(event, np.ascontiguousarray(rows[:, 1:]), given, np.ascontiguousarray(rows[:, :1])), 400
    )
    for kind, share in enumerate((0.3, 0.6, 0.8)):
        cond = Batch(torch.full((4_000, 1), kind), torch.ones(4_000, 1, dtype=torch.bool))
        made = model.sample(4_000, torch.Generator().manual_seed(2), cond)
        assert float(made.cells[:, 0].double().mean()) == pytest.approx(share, abs=0.08)
    nothing = Batch(torch.zeros(9, 1, dtype=torch.int64), torch.zeros(9, 1, dtype=torch.bool))
    assert bool(torch.isfinite(model.log_prob(Batch(made.cells[:9], made.mask[:9], nothing))).all())


@pytest.mark.parametrize("any_order", [True, False])
def test_awkward_columns_are_learned(any_order):
    rows = made_up(60)
    columns = {
        "constant": np.zeros(60),
        "one class": np.zeros(60),
        "absent": np.full(60, ABSENT),
        "huge": np.where(np.arange(60) == 3, 10**12, np.arange(60)),
    }
    number = Continuous(Lattice(0, 10**12, 0.0, 1.0))
    spans = (Span("a", number), Span("b", Discrete(1)), Span("c", number), Span("d", number))
    table = np.concatenate([rows, np.stack([c.astype(np.int64) for c in columns.values()], 1)], 1)
    event = Mixed((*EVENT.spans, *spans))
    family = Autoregressive(any_order=any_order, width=8, batch_size=32)
    model = learned(family, Records(event, table), 40)
    batch = Records(event, table).batch()
    assert bool(torch.isfinite(model.log_prob(batch)).all())
    made = model.sample(50, torch.Generator().manual_seed(0))
    assert len(made) == 50
    for name, p in model.named_parameters():
        assert bool(torch.isfinite(p).all()), name


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("any_order", [True, False])
def test_one_row_and_one_column(columns, any_order):
    family = Autoregressive(any_order=any_order, width=8, batch_size=32)
    for rows in (1, 2, 40):
        records = wide(rows, columns)
        model = learned(family, records, 5)
        assert bool(torch.isfinite(model.log_prob(records.batch())).all())
        assert model.sample(3, torch.Generator().manual_seed(0)).cells.shape == (3, columns)


def test_noise_columns_do_not_cost_more_than_independence():
    """Early stopping: on nothing but noise the score stays near that of the training shares, however long it learns."""
    rng = np.random.default_rng(0)
    event = Mixed(tuple(Span(f"n{j}", Discrete(8)) for j in range(4)))
    train, test = (Records(event, rng.integers(0, 8, (rows, 4))) for rows in (400, 2_000))
    family = Autoregressive(width=32, batch_size=64, learning_rate=0.02, patience=2)
    model = learned(family, train, 1_500)
    assert float(-model.log_prob(test.batch()).mean()) < 4 * np.log(8) + 0.15


def test_stored_and_restored_it_is_the_same(model):
    family = Autoregressive(any_order=model.any_order, width=16, batch_size=64)
    again = family.restore(EVENT, None, model.arrays(), model.facts())
    batch = Records(EVENT, made_up(100, seed=4)).batch()
    assert torch.equal(again.log_prob(batch), model.log_prob(batch))
    samples = [m.sample(50, torch.Generator().manual_seed(3)).cells for m in (model, again)]
    assert torch.equal(*samples)
