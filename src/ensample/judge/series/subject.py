"""Series as a subject of judging."""

from __future__ import annotations

from ensample.judge.series.copies import CLOSE
from ensample.judge.series.doctor import check_made, check_series, quality
from ensample.judge.series.dynamics import AUTO, CROSS
from ensample.judge.series.evaluate import judge_series, loose_values, real_series
from ensample.judge.series.forecasts import COVERS, CRPS, ask
from ensample.judge.series.marginals import CHANGES, VALUES
from ensample.judge.series.spectrum import SPECTRUM
from ensample.judge.series.twosample import DISCRIMINATIVE, TWO_SAMPLE
from ensample.judge.series.usefulness import PREDICTIVE
from ensample.judge.series.view import detail
from ensample.judge.subject import Subject

SERIES = Subject(
    noun="record",
    made=1_000,
    ranked_by=TWO_SAMPLE,
    columns=(
        (TWO_SAMPLE, "two-sample"),
        (DISCRIMINATIVE, "discrim."),
        (PREDICTIVE, "predict."),
        ("bits", "bits"),
        (VALUES, "values"),
        (CHANGES, "changes"),
        (AUTO, "autocorr."),
        (SPECTRUM, "spectrum"),
        (CRPS, "forecast"),
        (CLOSE, "copies"),
    ),
    panels=(
        (TWO_SAMPLE, "told apart", "AUC of a recurrent network, 0.5 is best"),
        (PREDICTIVE, "predictive score", "error on real series of what was learned from made ones, in deviations"),
        ("bits", "bits per record", "held-out series written with the model as code book, lower is better"),
        (VALUES, "values", "how well variables keep their shapes, 100% is best"),
        (CHANGES, "changes", "the same of changes from a step to the next"),
        (AUTO, "autocorrelation", "mean distance from that of real series, 0 is best"),
        (SPECTRUM, "spectrum", "mean distance from that of real series in decibels, 0 is best"),
        (CRPS, "forecasts", "CRPS of the second half given the first, in deviations, 0 is best"),
    ),
    tiles=(
        (TWO_SAMPLE, "told apart"),
        (DISCRIMINATIVE, "discriminative score"),
        (PREDICTIVE, "predictive score"),
        ("bits", "bits per record"),
        (CHANGES, "changes"),
        (AUTO, "autocorrelation"),
        (CROSS, "cross-correlation"),
        (SPECTRUM, "spectrum"),
        (CRPS, "forecast error"),
        (COVERS[1], "in 90% bands"),
        (CLOSE, "near copies"),
    ),
    floor="lengths of training series, filled with values drawn one by one",
    ceiling="the training series themselves",
    floor_name="loose values",
    ceiling_name="training series",
    notes=(
        "two-sample: AUC of a recurrent network that tells made from real series, 0.5 is best; discrim.: how far it is",
        "right beyond guessing, 0 is best; predict.: error on real series of networks that learned from made ones to",
        "tell the next step; values, changes: how well variables, and their changes from step to step, keep their",
        "shapes; autocorr., spectrum: mean distance from real ones; forecast: CRPS of the second half given the first;",
        "copies: made series much nearer to a training series than the next is to it; ± half of a 95% interval; * no",
        "model is better beyond the noise; floor: values drawn one by one; ceiling: training series.",
    ),
    template="series.html",
    judge=judge_series,
    make_floor=loose_values,
    make_ceiling=real_series,
    check_data=check_series,
    check_model=check_made,
    quality=quality,
    detail=detail,
    ask=ask,
)
