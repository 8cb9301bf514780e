"""Windows of a stream: what they show, that nothing held out is learned, and that they read packed tables."""

import time

import numpy as np
import pytest
import torch

from ensample.events import Discrete, Mixed, Ragged, Span
from ensample.kinds import records
from ensample.kinds.records import Writer
from ensample.kinds.sequences import Sequences
from ensample.kinds.windows import Windows

GIVEN = Mixed((Span("author", Discrete(50)),))


def sequences(lengths, classes=20, seed=0, given=False):
    lengths = np.array(lengths)
    rng = np.random.default_rng(seed)
    table = rng.integers(0, classes, (lengths.clip(min=0).sum(), 1))
    event = Ragged(Mixed((Span("letter", Discrete(classes)),)), int(lengths.max(initial=0)))
    beside = {"given": GIVEN, "given_table": np.arange(len(lengths))[:, None] % 50} if given else {}
    return Sequences(event, table, lengths=lengths, **beside)


def stream(texts):
    """The stream, written down place by place."""
    mark, out = texts.event.element.spans[0].event.classes, []
    for first, length in zip(texts.starts, texts.lengths, strict=False):
        if length >= 0:
            out += [mark, *texts.table[first : first + length, 0]]
    return np.array([*out, mark] if out else [])


LENGTHS = {
    "one long": [1000],
    "names": np.random.default_rng(1).integers(0, 9, 300),
    "some missing": [5, -1, 0, 40, -2, 1, 0, 0, 130],
    "one empty": [0],
}


@pytest.mark.parametrize("context", [1, 3, 7, 16, 64])
@pytest.mark.parametrize("which", LENGTHS)
def test_every_window_is_a_piece_of_the_stream_and_each_phase_shows_it(which, context):
    texts = sequences(LENGTHS[which])
    whole, windows = stream(texts), Windows.of(texts, context)
    batch = windows.batch()
    assert batch.cells.shape == batch.mask.shape == (len(windows), context + 1, 1)
    seen = np.zeros(len(whole), int)
    for row, first in enumerate(windows.first):
        piece = whole[first : first + context + 1]
        assert batch.lengths[row] == len(piece) >= 2
        assert batch.cells[row, : len(piece), 0].tolist() == piece.tolist()
        assert batch.mask[row, :, 0].tolist() == [True] * len(piece) + [False] * (context + 1 - len(piece))
        assert not batch.cells[row, len(piece) :].any()
        seen[first + 1 : first + len(piece)] += 1
    phases = min(4, context) if len(whole) - 1 > context else 1
    assert (seen[1 : 1 + context] >= 1).all() and (seen[1 + context :] == phases).all() and seen[0] == 0
    assert windows.looks == pytest.approx(seen.sum() / (len(whole) - 1))
    assert (np.diff(windows.first) > 0).all()


def test_given_fields_keep_each_record_in_windows_of_its_own():
    texts = sequences([3, 0, 60, 12, -1, 30], given=True)
    windows = Windows.of(texts, 12)
    batch, ends = windows.batch(), 0
    mark = windows.mark
    for cells, mask, author in zip(batch.cells[..., 0], batch.mask[..., 0], batch.cond.cells[:, 0], strict=True):
        text = texts.batch(slice(int(author), int(author) + 1)).cells[0, :, 0].tolist()
        whole, piece = [mark, *text, mark], cells[mask].tolist()
        assert any(whole[i : i + len(piece)] == piece for i in range(len(whole)))
        ends += whole[-len(piece) :] == piece
    assert ends >= 5 and set(batch.cond.cells[:, 0].tolist()) == {0, 1, 2, 3, 5}
    short = windows.batch(np.flatnonzero(windows.lengths < 6))
    assert short.cells.shape[1] == int(short.lengths.max()) < 6
    assert Windows.of(sequences([4, 2, 3], given=True), 12).looks == 1.0


def targets(windows, rows):
    """Places of the stream that these windows ask for."""
    return {
        place
        for first, length in zip(windows.first[rows], windows.lengths[rows], strict=True)
        for place in range(first + 1, first + length)
    }


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize(
    "lengths", [[5000], [100] * 40, np.random.default_rng(2).integers(0, 12, 900)], ids=["long", "some", "names"]
)
def test_what_is_held_out_is_nowhere_learned(lengths, given):
    windows = Windows.of(sequences(lengths, given=given), 16)
    learn, held = windows.apart(len(windows) // 10, seed=3)
    learned, kept = targets(windows, learn), targets(windows, held)
    assert not learned & kept
    assert (np.diff(held) > 0).all() and (np.diff(learn) > 0).all()
    assert sum(windows.lengths[held] - 1) == len(kept)  # each held-out target once
    whole = len(targets(windows, np.arange(len(windows))))
    assert len(kept) / whole == pytest.approx(0.1, abs=0.02)
    assert len(learned) + len(kept) > 0.99 * whole  # borders of stretches lose next to nothing
    assert windows.apart(len(windows) // 10, seed=4)[1].tolist() != held.tolist()
    a, b = windows.split(0.1, seed=3)
    assert a.first.tolist() == windows.first[learn].tolist() and len(b) == len(held)


def test_stretches_are_spread_and_few_rows_are_left_whole():
    windows = Windows.of(sequences([20_000]), 16)
    held = windows.first[windows.apart(len(windows) // 10, seed=0)[1]]
    assert np.histogram(held, bins=4, range=(0, 20_000))[0].min() >= 20
    assert 1 + (np.diff(held) > 16).sum() <= 16
    for lengths in ([0], [3], [40]):
        few = Windows.of(sequences(lengths), 64)
        learn, held = few.apart(5, seed=0)
        assert len(learn) == 1 and len(held) == 0
    learn, held = windows.apart(0, seed=0)
    assert len(held) == 0 and learn.tolist() == list(range(len(windows)))
    nothing = Windows.of(sequences([-1, -1]), 8)
    assert len(nothing) == 0 and len(nothing.batch()) == 0 and nothing.looks == 0 and not len(nothing.apart(3, 0)[1])


def test_packed_tables_give_the_same_windows_and_rows_are_chosen(monkeypatch, tmp_path):
    texts = sequences([400, 3, 50])
    monkeypatch.setattr(records, "IN_MEMORY", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    writer = Writer(len(texts.table), 1)
    writer.add(texts.table)
    packed = Sequences(texts.event, writer.done(), lengths=texts.lengths)
    assert isinstance(packed.table, records.Packed)
    here, there = Windows.of(texts, 10), Windows.of(packed, 10)
    assert torch.equal(here.batch().cells, there.batch().cells)
    rows = np.array([7, 2, 90])
    assert torch.equal(there.select(rows).batch().cells, here.batch().cells[rows])
    assert torch.equal(there.batch(rows).cells, here.batch(slice(None)).cells[rows])
    assert torch.equal(torch.cat([b.cells for b in there.batches(31)]), here.batch().cells)


def test_a_batch_costs_little_beside_a_step_of_learning():
    windows = Windows.of(sequences(np.random.default_rng(0).integers(2, 12, 30_000)), 256)
    rows = np.random.default_rng(1).permutation(len(windows))[:10]
    windows.batch(rows)
    begin = time.process_time()
    for _ in range(20):
        windows.batch(rows)
    assert (time.process_time() - begin) / 20 < 0.005  # a step of learning on such a batch takes about 0.1 s
