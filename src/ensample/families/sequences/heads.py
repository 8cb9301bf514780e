"""What heads of attention ask of the options of a transformer over sequences."""

from __future__ import annotations

from ensample.errors import InputError


def check_heads(place: str, width: int | None, heads: int | None, groups: int | None = None) -> None:
    """Raise `InputError` where options of a family do not fit each other; None: left to the family.

    Arguments:
        place: name of the family.
        width: of the tokens: each head has an even part.
        heads: of attention.
        groups: of heads that share keys and values.

    Example:
        >>> check_heads("sequence-vae", 12, 3)
    """
    if width is not None and width % (2 * (heads or 1)):
        seen = f"width={width}, attention_heads={heads or 1}"
        raise InputError("Each head must have an even part of the width.", place, seen, "change one of them")
    if groups is not None and (heads or 1) % groups:
        rule, seen = (
            "Heads of keys must be a divisor of the heads.",
            f"attention_heads={heads}, key_value_heads={groups}",
        )
        raise InputError(rule, place, seen, "say both, as attention_heads=4 and key_value_heads=2")
