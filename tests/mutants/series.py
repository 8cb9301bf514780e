"""Mutants of time series: their steps, their windows, their splits, forecasts and gaps."""

from __future__ import annotations

from tests.mutants import Mutant

CUT = "tests/data/test_series.py"
KIND = "tests/kinds/test_series.py"
AHEAD = "tests/test_forecasting.py"
GAPS = "tests/test_gaps.py"
AXIS = "tests/judge/test_timeaxis.py"
CONFORMAL = "tests/infer/test_conformal.py"
MUTANTS = [
    Mutant("data/series/cutting.py", "ahead > longest_gap", "ahead > 10 * longest_gap", CUT),
    Mutant(
        "data/series/cutting.py",
        "starts = steps.offsets[pieces] + stride * within",
        "starts = steps.offsets[pieces] + within",
        CUT,
    ),
    Mutant("data/series/grids.py", "(month + 1 if self.last else month)", "month", CUT),
    Mutant(
        "data/series/layout.py", "rows = np.lexsort((ticks, codes))", "rows = np.argsort(ticks, kind='stable')", CUT
    ),
    Mutant("data/series/plan.py", "passed[table.firsts] = 0", "passed[:1] = 0", CUT),
    Mutant("data/series/split.py", "_ends(data, plan, start) < first", "start < first", CUT),
    Mutant("kinds/stretches.py", "(distance >= -near)", "(distance >= 0)", KIND),
    Mutant("kinds/guessing.py", 'kind = replace(kind, plan=marks.series(column) or "")', "pass", KIND),
    Mutant("infer/conformal.py", "came >= middle, high - middle,", "came >= middle, middle - low,", CONFORMAL),
    Mutant("infer/conformal.py", "(len(scores) + 1) * level", "len(scores) * level", CONFORMAL),
    Mutant("calibrating.py", "kept[last] = False", "pass", AHEAD),
    Mutant("judge/timeaxis.py", "seconds - MONDAY if", "seconds if", AXIS),
    Mutant("judge/fan.py", "if forecast.plan.grid is None:", "if forecast.plan.grid is not None:", AXIS),
    Mutant("data/series/shared.py", "again - common", "again - common + self.stride", KIND),
    Mutant("data/series/shared.py", "steps.slice(len(steps) - self.window)", "None", KIND),
    Mutant("kinds/stepkinds.py", "dict(plan.kinds)", "{}", KIND),
    Mutant("infer/forecast.py", "known - (event.max_length - count)", "known - (event.max_length - count - 1)", AHEAD),
    Mutant(
        "infer/forecast.py", "known, done = known + count, done + count", "known, done = known, done + count", AHEAD
    ),
    Mutant(
        "forecasting.py",
        "told.given(rows[paths[::draws] // draws], first[::draws])",
        "told.given(rows[paths[::draws] // draws], 0 * first[::draws])",
        AHEAD,
    ),
    Mutant(
        "forecasts.py",
        "self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)",
        "self.quantile(1 - level), self.quantile(level)",
        AHEAD,
    ),
    Mutant("infer/gaps.py", "(begin + end - self.width) // 2", "begin", GAPS),
    Mutant("infer/gaps.py", "- self.width + self.half, 2", "- self.width + 3 * self.half, 2", GAPS),
]
