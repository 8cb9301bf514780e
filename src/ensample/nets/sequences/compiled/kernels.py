"""One token through a transformer, and the choice of the next, as loops that numba compiles.

The mathematics is that of `ensample.nets.sequences.cache`. Compiled code is kept on disk beside this file, or in the
user's cache, so that a machine compiles once. All numbers are float32, all arrays are contiguous.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

try:
    import numba
except ImportError:  # then these are loops of Python, for tests alone
    numba = None

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile as a part of what calls it; sums may be reordered, as they are in any matrix product."""
    return _compiled(function, kept=False)


def entry(function: F) -> F:
    """Compile at the first call, and keep on disk what came of it."""
    return _compiled(function, kept=True)


def _compiled(function: F, *, kept: bool) -> F:
    if numba is None:
        return function
    how: dict[str, Any] = {"fastmath": {"contract", "reassoc", "nsz", "arcp"}, "error_model": "numpy", "nogil": True}
    try:
        return cast(F, numba.njit(cache=kept, **how)(function))
    except RuntimeError:  # there is no folder to keep it in
        return cast(F, numba.njit(**how)(function))


class Weights(NamedTuple):
    """Of a network: vectors of classes, matrices of all layers (first axis) by outputs and inputs.

    `mixes` [layers, 2, width], `told` [layers, vectors times width of a head, width]: a query of each head, then a key
    and then a value of each group of heads, both halves of queries and keys in turn; `gain` [layers, heads], `out`
    [layers, width, width], `up` [layers, inner, width], `down` [layers, width, inner], or half of inner where it is
    gated; `waves` [2, context, half of a head]. Scales are part of the matrices.
    """

    table: np.ndarray
    head: np.ndarray
    mixes: np.ndarray
    told: np.ndarray
    gain: np.ndarray
    out: np.ndarray
    up: np.ndarray
    down: np.ndarray
    waves: np.ndarray


class State(NamedTuple):
    """Of rows: what is kept of their tokens.

    `keys` [rows, layers, groups, width of a head, context], `values` [rows, layers, groups, context, width of a head],
    `before` [rows, layers, 2, width] the norms of the last token at both halves of each block, `given` [rows, width]
    what is added to vectors of classes, `logits` [rows, classes + 1] behind the last token.
    """

    keys: np.ndarray
    values: np.ndarray
    before: np.ndarray
    given: np.ndarray
    logits: np.ndarray


@compiled
def product(matrix: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """`out = matrix x`."""
    for i in range(matrix.shape[0]):
        total = np.float32(0.0)
        for j in range(matrix.shape[1]):
            total += matrix[i, j] * x[j]
        out[i] = total


@compiled
def added(matrix: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """`out += matrix x`."""
    for i in range(matrix.shape[0]):
        total = np.float32(0.0)
        for j in range(matrix.shape[1]):
            total += matrix[i, j] * x[j]
        out[i] += total


@compiled
def length(x: np.ndarray) -> np.float32:
    """Euclidean length."""
    total = np.float32(0.0)
    for j in range(len(x)):
        total += x[j] * x[j]
    return np.float32(np.sqrt(total))


@compiled
def shifted(x: np.ndarray, before: np.ndarray, mix: np.ndarray, out: np.ndarray) -> None:
    """`out = n + mix (before - n)`, n = x of unit length, which takes the place of `before`."""
    rate = np.float32(1.0) / length(x)
    for j in range(len(x)):
        n = x[j] * rate
        out[j] = n + mix[j] * (before[j] - n)
        before[j] = n


@compiled
def powers(x: np.ndarray, shift: np.float32, bits: np.ndarray) -> np.float32:
    """`x = exp(x - shift)` to the rounding of float32; their sum. `bits` is room for as many int32.

    `2^y = 2^i 2^f` with |f| <= 1/2, the latter by its series: these loops have vector instructions, `exp` has not.
    """
    for p in range(len(x)):
        y = max((x[p] - shift) * np.float32(1.4426950408889634), np.float32(-126.0))
        i = np.floor(y + np.float32(0.5))
        f = y - i
        bits[p] = (np.int32(i) + np.int32(127)) << np.int32(23)
        s = np.float32(1.5403530e-4)
        s = s * f + np.float32(1.3333558e-3)
        s = s * f + np.float32(9.6181291e-3)
        s = s * f + np.float32(5.5504109e-2)
        s = s * f + np.float32(2.4022651e-1)
        s = s * f + np.float32(6.9314718e-1)
        x[p] = s * f + np.float32(1.0)
    two, total = bits.view(np.float32), np.float32(0.0)
    for p in range(len(x)):
        x[p] *= two[p]
        total += x[p]
    return total


@compiled
def turned(part: np.ndarray, gain: np.float32, waves: np.ndarray, place: int) -> None:
    """A query or key in its place: of unit length times a gain, pairs turned as complex numbers."""
    rate = gain / length(part)
    for d in range(len(part) // 2):
        one, two = part[2 * d] * rate, part[2 * d + 1] * rate
        cos, sin = waves[0, place, d], waves[1, place, d]
        part[2 * d] = one * cos - two * sin
        part[2 * d + 1] = one * sin + two * cos


@compiled
def attended(
    q: np.ndarray, keys: np.ndarray, values: np.ndarray, room: np.ndarray, bits: np.ndarray, out: np.ndarray
) -> None:
    """`out = softmax(q keys) values` over as many places as there is `room`; scores need no shift, they are bounded."""
    places = len(room)
    room[:] = np.float32(0.0)
    for d in range(len(q)):
        one = q[d]
        for p in range(places):
            room[p] += one * keys[d, p]
    rate = np.float32(1.0) / powers(room, np.float32(0.0), bits)
    out[:] = np.float32(0.0)
    for p in range(places):
        weight = room[p] * rate
        for d in range(len(out)):
            out[d] += weight * values[p, d]


@compiled
def token(number: int, place: int, row: int, weights: Weights, state: State) -> None:
    """One more token of a row, at its place: what is kept of it, and the logits behind it."""
    width, heads = weights.table.shape[1], weights.gain.shape[1]
    groups, size, inner, half = state.keys.shape[2], width // heads, weights.up.shape[1], weights.down.shape[2]
    told, each = weights.told.shape[1], heads // groups
    x, n, big = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(max(inner, told), np.float32)
    room, bits = np.empty(place + 1, np.float32), np.empty(place + 1, np.int32)
    x[:] = weights.table[number] + state.given[row]
    rate = np.float32(1.0) / np.float32(np.sqrt(length(x) ** 2 / np.float32(width) + np.float32(1e-6)))
    x *= rate
    for layer in range(len(weights.told)):
        before = state.before[row, layer]
        shifted(x, before[0], weights.mixes[layer, 0], n)
        product(weights.told[layer], n, big)
        for g in range(groups):
            keys, values = state.keys[row, layer, g], state.values[row, layer, g]
            k = big[width + g * size : width + (g + 1) * size]
            turned(k, np.float32(1.0), weights.waves, place)
            keys[:, place] = k
            values[place] = big[told - (groups - g) * size : told - (groups - g - 1) * size]
            for h in range(g * each, (g + 1) * each):
                q = big[h * size : (h + 1) * size]
                turned(q, weights.gain[layer, h], weights.waves, place)
                attended(q, keys, values, room, bits, n[h * size : (h + 1) * size])
        added(weights.out[layer], n, x)
        shifted(x, before[1], weights.mixes[layer, 1], n)
        product(weights.up[layer], n, big)
        for j in range(half):
            if half < inner:
                big[j] = big[j] / (np.float32(1.0) + np.exp(-big[j])) * big[half + j]
            else:
                big[j] = max(big[j], np.float32(0.0)) ** 2
        added(weights.down[layer], big[:half], x)
    x *= np.float32(1.0) / np.float32(np.sqrt(length(x) ** 2 / np.float32(width) + np.float32(1e-6)))
    product(weights.head, x, state.logits[row])


@compiled
def chosen(
    logits: np.ndarray, uniform: float, temperature: float, banned: np.ndarray, room: np.ndarray, bits: np.ndarray
) -> int:
    """A class by the inverse of the distribution function; the most probable one for a temperature of 0.

    Those that are `banned` are never chosen. See `ensample.solvers.decoding.choices`.
    """
    best = -1
    for c in range(len(logits)):
        if not banned[c] and (best < 0 or logits[c] > logits[best]):
            best = c
    if temperature == 0.0:
        return best
    for c in range(len(logits)):
        room[c] = logits[c] / np.float32(temperature)
    rate = np.float32(1.0) / powers(room, room[best], bits)
    total = 0.0
    for c in range(len(logits)):
        total += 0.0 if banned[c] else np.float64(room[c] * rate)
    threshold, seen = uniform * (1.0 - 2.0**-40) * total, 0.0
    for c in range(len(logits)):
        seen += 0.0 if banned[c] else np.float64(room[c] * rate)
        if seen > threshold:
            return c
    return best


@entry
def steps(classes: np.ndarray, places: np.ndarray, weights: Weights, state: State) -> None:
    """One more class of every row, int64 [rows] both."""
    for row in range(len(classes)):
        token(classes[row], places[row], row, weights, state)


@entry
def ahead(
    uniform: np.ndarray,
    temperature: float,
    banned: np.ndarray,
    first: int,
    places: np.ndarray,
    weights: Weights,
    state: State,
    classes: np.ndarray,
    told: np.ndarray,
) -> None:
    """Choose and go on, several classes in every row, until its end is chosen.

    Arguments:
        uniform: random numbers, float64 [rows, steps].
        temperature: see `chosen`.
        banned: bool [classes + 1].
        first: step from which the end may be chosen.
        places: of the first class in each row, int64 [rows].
        weights: of the network.
        state: of the rows.
        classes: int64 [rows, steps], is filled; the end from a row's end on.
        told: float64 [rows, steps], is filled with log-probabilities under the logits themselves; or of no steps.
    """
    end = state.logits.shape[1] - 1
    room, bits = np.empty(end + 1, np.float32), np.empty(end + 1, np.int32)
    out = banned.copy()
    for row in range(classes.shape[0]):
        logits = state.logits[row]
        classes[row] = end
        for step in range(classes.shape[1]):
            out[end] = banned[end] or step < first
            number = chosen(logits, uniform[row, step], temperature, out, room, bits)
            classes[row, step] = number
            if told.shape[1]:
                top, total = logits.max(), 0.0
                for c in range(end + 1):
                    total += np.exp(np.float64(logits[c] - top))
                told[row, step] = np.float64(logits[number] - top) - np.log(total)
            if number == end:
                break
            token(number, places[row] + step, row, weights, state)
