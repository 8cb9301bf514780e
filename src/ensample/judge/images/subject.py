"""Pictures as a subject of judging."""

from __future__ import annotations

from ensample.judge.images.doctor import check_made, check_pictures, quality
from ensample.judge.images.evaluate import judge_pictures, loose_pixels, real_pictures
from ensample.judge.images.measures import BITS, FRECHET, KERNEL, SCORE
from ensample.judge.images.view import detail
from ensample.judge.subject import Subject

PICTURES = Subject(
    noun="picture",
    made=2_000,
    ranked_by=FRECHET,
    columns=(
        (FRECHET, "Frechet"),
        (KERNEL, "kernel"),
        (BITS, "bits/dim"),
        ("precision", "precision"),
        ("recall", "recall"),
        ("coverage", "coverage"),
        ("class accuracy", "classes"),
        ("copy share", "copies"),
    ),
    panels=(
        (FRECHET, "Frechet distance", "between features of made and real pictures, 0 is best"),
        (KERNEL, "kernel distance", "the same by a kernel, not inflated by few pictures"),
        (BITS, "bits per dimension", "held-out picture written with the model as code book"),
        ("precision", "precision", "made pictures that lie where real ones lie"),
        ("recall", "recall", "real pictures that lie where made ones lie"),
        ("coverage", "coverage", "real pictures with a made one among their nearest"),
        ("class accuracy", "class accuracy", "made pictures that show the wanted class"),
        ("copy share", "copy share", "made pictures nearer to training than to held-out ones, 50% is best"),
    ),
    tiles=(
        (FRECHET, "Frechet distance"),
        (BITS, "bits per dimension"),
        ("class accuracy", "class accuracy"),
        ("precision", "precision"),
        ("recall", "recall"),
        (SCORE, "Inception Score"),
        ("copy share", "copy share"),
    ),
    floor="every pixel drawn apart from the others",
    ceiling="training pictures themselves",
    floor_name="loose pixels",
    ceiling_name="training pictures",
    notes=(
        "Frechet, kernel: distance between features of made and real pictures, by an extractor that every measure",
        "names in its words; bits/dim: log2 loss of held-out pictures; precision, recall, coverage: how made and",
        "real pictures lie among each other; classes: share with the wanted class; copies: share nearer to training",
        "than to held-out pictures, 50% is best; ± half of a 95% interval; * no model is better beyond the noise;",
        "floor: pixels drawn apart; ceiling: training pictures. Distances hold for this extractor and number of",
        "pictures only.",
    ),
    template="pictures.html",
    judge=judge_pictures,
    make_floor=loose_pixels,
    make_ceiling=real_pictures,
    check_data=check_pictures,
    check_model=check_made,
    quality=quality,
    detail=detail,
)
