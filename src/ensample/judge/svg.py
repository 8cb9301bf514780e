"""A few words of SVG: elements with escaped text, scales, tick marks. Colours are classes, set in the page's style."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

Shown = Callable[[float], str]


def tag(name: str, *inside: str, **attributes: object) -> str:
    """One element; an underscore in an attribute's name is a hyphen, a trailing one is dropped; text must be escaped.

    Example:
        >>> tag("rect", x=1.0, width=2.5, class_="real")
        '<rect x="1" width="2.5" class="real"/>'
    """
    parts = [f'{k.rstrip("_").replace("_", "-")}="{_value(v)}"' for k, v in attributes.items() if v is not None]
    head = " ".join([name, *parts])
    return f"<{head}>{''.join(inside)}</{name}>" if inside else f"<{head}/>"


def _value(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else html.escape(str(value))


def picture(width: float, height: float, label: str, *inside: str) -> Markup:
    """A whole picture that scales with its box and has a spoken label."""
    body = tag(
        "svg",
        *inside,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=label,
        preserveAspectRatio="xMidYMid meet",
    )
    return Markup(body)


def hint(text: str) -> str:
    """A tooltip, put inside the element it belongs to."""
    return f"<title>{html.escape(text)}</title>"


def text(x: float, y: float, words: str, most: int = 0, **attributes: object) -> str:
    """Words at a place, cut after `most` characters (0: never) with the whole in a tooltip."""
    if most and len(words) > most:
        return tag("text", html.escape(cut(words, most)) + hint(words), x=x, y=y, **attributes)
    return tag("text", html.escape(words) or " ", x=x, y=y, **attributes)


def cut(words: str, most: int) -> str:
    """At most so many characters.

    Example:
        >>> cut("a long name", 7)
        'a long…'
    """
    return words if len(words) <= most else words[: most - 1].rstrip() + "…"


@dataclass(frozen=True)
class Scale:
    """From values `low` to `high` to places `start` to `end`; values outside go to the edge."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Place of a value."""
        low, high, value = (math.log(max(v, 1e-300)) if self.log else v for v in (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + (self.end - self.start) * min(max(share, 0.0), 1.0)


def ticks(low: float, high: float, count: int = 3) -> list[float]:
    """Round numbers between two values, about so many.

    Example:
        >>> ticks(0, 97)
        [0, 50]
    """
    if not high > low:
        return [low]
    step = 10 ** math.floor(math.log10((high - low) / count))
    step *= next(f for f in (1, 2, 5, 10) if (high - low) / (step * f) <= count)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1)]


def short(value: float) -> str:
    """A number in few characters.

    Example:
        >>> short(0.5), short(12_500), short(3_200_000), short(0.000012), short(-7)
        ('0.5', '12.5k', '3.2M', '1.2e-05', '-7')
    """
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e15 or size < 1e-3:
        return f"{value:.2g}"
    for limit, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            return f"{value / (1e3 if unit == 'k' else limit):.3g}{unit}"
    return f"{value:.4g}"


def percent(share: float) -> str:
    """A share for people.

    Example:
        >>> percent(0.1234), percent(0.0012), percent(1.0)
        ('12%', '0.1%', '100%')
    """
    if not math.isfinite(share):
        return "–"
    if 0 < share < 0.0005:
        return "<0.1%"
    return f"{100 * share:.1f}%" if 0 < abs(share) < 0.0995 else f"{100 * share:.0f}%"


def path(points: Sequence[tuple[float, float]], closed: bool = False, **attributes: object) -> str:
    """A line through points."""
    line = "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points) + ("Z" if closed else "")
    return tag("path", d=line, **attributes)
