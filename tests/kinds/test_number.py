"""Numbers: the grid, what is met at score time, the bounds of what is decoded, conditions."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from ensample.errors import InputError
from ensample.kinds import fit_kind
from ensample.kinds.arrow import type_from_text
from ensample.kinds.base import Rule
from ensample.kinds.grid import affine_grid, coarse_digits, ordered, unordered
from ensample.kinds.number import Number
from ensample.kinds.records import ABSENT
from ensample.kinds.trace import FloatTrace

RNG = np.random.default_rng(0)


def fitted(values, name="x", dtype=None, mask=None):
    return fit_kind("number", pa.array(values, dtype, mask=mask), name)


def step_of(kind):
    return kind.step * 10.0**-kind.digits


@pytest.mark.parametrize(
    ("values", "step"),
    [
        (RNG.integers(0, 500, 300), 1),
        (RNG.integers(0, 500, 300) * 1000, 1000),
        (RNG.integers(0, 500, 300) * 25 + 7, 25),
        (RNG.integers(0, 500, 300) / 2, 0.5),
        (np.round(RNG.normal(50, 9, 300), 2), 0.01),
        (np.round(RNG.normal(50, 9, 300), 2).astype(np.float32), 0.01),
        (RNG.integers(0, 50, 300) * 0.05, 0.05),
        (RNG.integers(0, 500, 300) * 1e9, 1e9),
    ],
)
def test_the_step_is_found(values, step):
    assert step_of(fitted(values)) == pytest.approx(step, rel=1e-12)


def test_a_step_gets_finer_from_batch_to_batch():
    trace = FloatTrace(pa.float64())
    for batch in ([0.5, 1.0, 3.5], [2.0], [0.25, 7.75]):
        trace.add(pa.array(batch), "x")
    grid = trace.grid
    assert (grid.digits, grid.trace.low, grid.trace.high, grid.trace.divisor) == (2, 25, 775, 25)


def test_whole_numbers_do_not_speak_for_a_step_of_fifths():
    """Among whole numbers, three values that are even in tenths are no grid of 0.2."""
    assert step_of(fitted([*range(15, 90), 20.4, 31.2, 78.8])) == pytest.approx(0.1)
    assert step_of(fitted(np.arange(15, 90, 0.2).round(1))) == pytest.approx(0.2)


def test_a_few_values_do_not_make_a_step():
    """Three integers that happen to be multiples of 14 apart are no grid of 14; thousands are one."""
    assert step_of(fitted([3, 17, 45])) == 1
    assert step_of(fitted([1000, 17000, 45000])) == 1000


@pytest.mark.parametrize("places", [1, 2, 3, 5])
def test_decimals_are_the_nearest_floats(places):
    """All of them, not just those met: 61 hundredths is the float that is written 0.61."""
    written = [f"{k / 10**places:.{places}f}" for k in range(1001)]
    kind = fitted([float(written[0]), float(written[1]), float(written[1000])])
    cells = np.arange(1001)[:, None]
    assert kind.decode(cells, RNG).to_pylist() == [float(text) for text in written]


def test_noise_of_arithmetic_is_not_a_grid_of_its_own():
    kind = fitted(np.arange(1, 300) * 0.1)
    assert step_of(kind) == pytest.approx(0.1) and kind.rounded
    assert kind.decode(np.array([[2]]), RNG).to_pylist() == [0.3]


def test_minus_zero_is_zero():
    assert fitted([-0.0, 0.5, 1.5, 2.0]).encode(pa.array([0.0, -0.0]), "x").tolist() == [[0], [0]]


def test_denormals_and_giants():
    values = np.array([5e-324, 2.2e-308, 1e-300, 1.0, 1e300, 1.7976931348623157e308, -1e-310])
    kind = fitted(values)
    back = kind.decode(kind.encode(pa.array(values), "x"), RNG).to_numpy()
    assert np.allclose(back, values, rtol=1e-8, atol=1e-308) and np.isfinite(back).all()


def test_ordered_codes_keep_the_order():
    values = np.sort(np.concatenate([RNG.normal(size=500) * 10.0 ** RNG.integers(-300, 300, 500), [0.0, 5e-324]]))
    for bits in (52, 30):
        codes = ordered(values, bits)
        assert (np.diff(codes) >= 0).all()
        assert np.array_equal(ordered(unordered(codes, bits), bits), codes)
    assert np.array_equal(unordered(ordered(values, 52), 52), values)


def test_nearly_cents():
    """Sums of shares among cents are rounded to cents, and the loss is declared."""
    cents = np.round(RNG.lognormal(5, 1, 500), 2)
    cents[:20] += 0.000123
    kind = fitted(cents)
    assert step_of(kind) == pytest.approx(0.01) and kind.rounded and "rounded to it" in kind.describe()


def test_small_fractions_among_zeros_are_not_rounded_away():
    values = np.where(RNG.random(500) < 0.95, 0.0, np.round(RNG.random(500) / 100, 6))
    kind = fitted(values)
    assert np.array_equal(kind.decode(kind.encode(pa.array(values), "x"), RNG).to_numpy(), values)


def test_values_off_the_grid_fall_into_the_nearest_cell():
    kind = fitted(np.arange(100) * 10)
    assert kind.encode(pa.array([14, 16, -26]), "x").tolist() == [[1], [2], [-3]]
    assert kind.encode(pa.array([14.0, 16.0]), "x").tolist() == [[1], [2]]
    assert kind.encode(pa.array(["14", " 16 "]), "x").tolist() == [[1], [2]]
    exact = fitted([2**60, 2**60 + 1, 2**60 + 7])
    assert exact.encode(pa.array([str(2**60 + 3)]), "x").tolist() == [[3]]
    assert kind.encode(pa.array([2**63 - 1]), "x")[0, 0] <= 2**62


def test_what_is_no_number_is_told():
    kind = fitted(np.arange(50))
    with pytest.raises(InputError, match=r"column 'age', row 1\n.*'old'\n.*correct"):
        kind.encode(pa.array(["3", "old"]), "age")
    with pytest.raises(InputError, match="column 'age', row 2"):
        kind.encode(pa.array([1.0, 2.0, np.inf]), "age")
    with pytest.raises(InputError, match="finite"):
        fitted([1.0, np.inf])
    with pytest.raises(InputError, match="values of type string"):
        fitted(["a", "b"])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint64", "float", "decimal128(4, 1)"])
def test_nothing_beyond_the_type_is_decoded(dtype):
    values = [Decimal(k) if "decimal" in dtype else k for k in range(0, 100, 3)]
    kind = fitted(values, dtype=type_from_text(dtype))
    made = kind.decode(np.array([[-(2**62)], [2**62], [ABSENT]]), RNG)
    assert made.type == type_from_text(dtype) and made.null_count == 1
    made.validate(full=True)


def test_walls():
    """Zero is a wall for waiting times, both ends for a uniform share; a bell has none."""
    waiting = fitted(np.round(RNG.exponential(10, 2000), 2))
    assert waiting.floor is not None and waiting.ceiling is None
    uniform = fitted(RNG.integers(17, 60, 2000))
    assert (uniform.floor, uniform.ceiling) == (0, 42)
    bell = fitted(np.round(RNG.normal(0, 10, 2000), 1))
    assert (bell.floor, bell.ceiling) == (None, None)
    assert waiting.decode(np.array([[-500]]), RNG).to_pylist()[0] >= 0
    assert bell.decode(np.array([[-500]]), RNG).to_pylist()[0] < bell.decode(np.array([[0]]), RNG).to_pylist()[0]


def test_spikes_stand_alone():
    gain = np.where(RNG.random(3000) < 0.9, 0, RNG.integers(100, 9000, 3000))
    assert fitted(gain).spikes == (0,)
    grid = RNG.integers(40, 70, 3000) + np.where(RNG.random(3000) < 0.02, 0.1, 0.0)  # whole numbers, a few with tenths
    assert fitted(grid).spikes == ()


def test_a_spike_is_a_state_of_its_own():
    gain = np.where(RNG.random(3000) < 0.9, 0, RNG.integers(100, 9000, 3000))
    kind = fitted(gain, mask=RNG.random(3000) < 0.1)
    state, number = kind.spans("gain")
    assert state.event.classes == 3 and number.exists == (0, (0,))
    assert kind.encode(pa.array([0, 150, None]), "gain").tolist() == [[1, ABSENT], [0, 150], [2, ABSENT]]
    assert kind.present() == ((0, 1),)


class TestLimits:
    kind = fitted(np.arange(17, 91).repeat(10))
    holed = fitted(np.where(RNG.random(3000) < 0.9, 0, RNG.integers(100, 9000, 3000)), mask=RNG.random(3000) < 0.1)

    def test_ranges(self):
        assert self.kind.limits(Rule(None, 30, 40), "age") == (((13, 23),),)
        assert self.kind.limits(Rule(None, 29.5, 40.5), "age") == (((13, 23),),)
        assert self.kind.limits(Rule(None, None, 20), "age") == (((0, 3),),)
        assert self.kind.limits(Rule(None, 80, 200), "age") == (((63, 73),),)

    def test_values(self):
        assert self.kind.limits(Rule((18, 17, 18)), "age") == (((0, 0), (1, 1)),)
        assert fitted([0.21, 0.23, 0.61]).limits(Rule((0.61,)), "carat") == (((40, 40),),)

    def test_states(self):
        kind = self.holed
        first, last = 100, 100
        assert kind.limits(Rule((None,)), "x") == (((2, 2),), ())
        assert kind.limits(Rule((0,)), "x") == (((1, 1),), ())
        assert kind.limits(Rule((0, 100)), "x") == (((0, 0), (1, 1)), ((0, 0), (first, last)))
        assert kind.limits(Rule(None, 50, 5000), "x")[0] == ((0, 0),)

    @pytest.mark.parametrize(
        ("rule", "told"),
        [
            (Rule(None, 40, 30), "none of the values met, 17 to 90"),
            (Rule(None, 100, 200), "none of the values met, 17 to 90"),
            (Rule((91,)), "outside of the values met, 17 to 90"),
            (Rule((20.5,)), "values come in steps: 20, 21"),
            (Rule(("old",)), "'old' is not a number"),
            (Rule((None,)), "missing, but this field never was"),
            (Rule((True,)), "True is not a number"),
        ],
    )
    def test_impossible_wishes(self, rule, told):
        with pytest.raises(InputError, match=told) as error:
            self.kind.limits(rule, "age")
        assert "'age'" in str(error.value) and error.value.fix

    def test_what_is_allowed_is_what_is_decoded(self):
        """Every cell inside a range decodes into the range, its neighbours outside do not."""
        kind = fitted(np.round(RNG.normal(0, 9, 500), 2))
        (((low, high),),) = kind.limits(Rule(None, -1.234, 7.7), "x")
        values = kind.decode(np.array([[low - 1], [low], [high], [high + 1]]), RNG).to_pylist()
        assert values[0] < -1.234 <= values[1] and values[2] <= 7.7 < values[3]


def test_description():
    assert fitted(np.arange(17, 91)).describe().startswith("integer, 17 to 90")
    assert fitted([0.21, 0.23, 0.61]).describe() == "number, 0.21 to 0.61, in steps of 0.01"
    assert "no step found, kept to 1e-1" in fitted(RNG.normal(size=100)).describe()
    assert isinstance(fitted([1, 2, 3]), Number)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_standardised_integers_lie_on_steps_that_start_anywhere(dtype):
    """Where (k - mean) / deviation holds all values, cells are k, new values lie between, and ranges still work."""
    k = np.random.default_rng(0).integers(0, 120, 3_000)
    values = ((k - k.mean()) / k.std()).astype(dtype)
    kind = fitted(values)
    assert kind.unit == pytest.approx(1 / k.std(), rel=1e-5) and kind.high == np.ptp(k)
    table = kind.encode(pa.array(values), "x")
    assert np.array_equal(table[:, -1], k - k.min())
    back = kind.decode(table, np.random.default_rng(0))
    assert back.type == pa.from_numpy_dtype(dtype)
    assert np.abs(back.to_numpy() - values).max() <= 4 * np.finfo(dtype).eps * np.abs(values).max()
    assert kind.limits(Rule(low=-1.0, high=1.0), "x")[-1] == (
        (int(np.ceil(k.mean() - k.std() - k.min())), int(np.floor(k.mean() + k.std() - k.min()))),
    )
    assert kind.lattice.zero == pytest.approx(k.mean() - k.min(), abs=1e-3)
    assert "in steps of" in kind.describe()


def test_random_floats_lie_on_no_steps():
    rng = np.random.default_rng(0)
    for rows in (8, 30, 1_000):
        for values in (rng.normal(size=rows), rng.random(rows), np.exp(rng.normal(size=rows))):
            assert affine_grid(values, "float64") is None
            assert affine_grid(values.astype("float32").astype("float64"), "float32") is None


def test_values_off_a_coarse_grid_are_rounded_to_it_only_where_that_changes_little():
    whole = np.repeat(np.arange(1.0, 100.0), 10)
    near, far = np.concatenate([whole, [50.012, 70.034, 90.021]]), np.concatenate([whole, [0.512, 1.713, 2.444]])
    assert coarse_digits(near, 3, "float64") == 0
    assert coarse_digits(far, 3, "float64") is None
