"""Texts as a subject of judging."""

from __future__ import annotations

from ensample.judge.subject import Subject
from ensample.judge.texts.copies import LONG, SPAN
from ensample.judge.texts.doctor import check_made, check_texts, quality
from ensample.judge.texts.evaluate import judge_texts, loose_characters, real_texts
from ensample.judge.texts.likelihood import BITS, BYTES, PERPLEXITY
from ensample.judge.texts.novelty import NOVELTY
from ensample.judge.texts.shapes import CHARACTERS, LENGTHS, WORDS
from ensample.judge.texts.twosample import TWO_SAMPLE
from ensample.judge.texts.variety import REPETITION, SELF_BLEU
from ensample.judge.texts.view import detail

TEXTS = Subject(
    noun="text",
    made=1_000,
    ranked_by=TWO_SAMPLE,
    columns=(
        (TWO_SAMPLE, "two-sample"),
        (BITS, "bits/char"),
        (CHARACTERS, "characters"),
        (WORDS, "words"),
        ("distinct-2", "distinct-2"),
        (REPETITION, "repeats"),
        (NOVELTY, "novelty"),
        (SPAN, "span"),
        (LONG, "copies"),
    ),
    panels=(
        (TWO_SAMPLE, "told apart", "AUC of a classifier of runs of characters, 0.5 is best"),
        (BITS, "bits per character", "held-out text written with the model as code book"),
        (CHARACTERS, "runs of characters", "divergence of runs of three from real texts, 0 is best"),
        (WORDS, "words", "divergence of shares of words from real texts, 0 is best"),
        ("distinct-2", "distinct pairs", "different pairs as a share of all, best as in real texts"),
        (REPETITION, "repetition", "share of a text in runs that return, best as in real texts"),
        (NOVELTY, "novelty", "runs that stand in no training text, best as in held-out ones"),
        (LONG, "texts with copies", "made texts with a span of a training text that few held-out ones have"),
    ),
    tiles=(
        (TWO_SAMPLE, "told apart"),
        (BITS, "bits per character"),
        (PERPLEXITY, "perplexity"),
        (BYTES, "bits per byte"),
        (WORDS, "words"),
        (SELF_BLEU, "self-BLEU"),
        (REPETITION, "repetition"),
        (LENGTHS, "lengths"),
        (NOVELTY, "novelty"),
        (LONG, "texts with copies"),
    ),
    floor="lengths of training texts, filled with characters drawn one by one",
    ceiling="the training texts themselves",
    floor_name="loose characters",
    ceiling_name="training texts",
    notes=(
        "two-sample: AUC of a classifier of runs of characters that tells made from real texts, 0.5 is best;",
        "bits/char: log2 loss of held-out texts, over any tokenizer; characters, words: divergence of runs of three",
        "characters, of words; distinct-2: different pairs as a share of all; repeats: share of a text in runs that",
        "return; novelty: runs that stand in no training text; span: characters of the longest one that does; these",
        "four are best as in held-out texts; copies: texts with a longer such span than 19 of 20 held-out ones have;",
        "± half of a 95% interval; * no model is better beyond the noise; floor: characters drawn apart; ceiling:",
        "training texts.",
    ),
    template="texts.html",
    judge=judge_texts,
    make_floor=loose_characters,
    make_ceiling=real_texts,
    check_data=check_texts,
    check_model=check_made,
    quality=quality,
    detail=detail,
)
