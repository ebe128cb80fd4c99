"""The names of the losses, for who reads options without torch."""

from __future__ import annotations

import math
from typing import Final

from geoseg.errors import OptionError

__all__ = ["LOSSES", "is_per_class", "loss_terms"]

LOSSES: Final = {
    "ce": "cross-entropy",
    "dice": "Dice, overlap of regions",
    "focal": "cross-entropy that looks at what is hard",
    "lovasz": "Lovász-Softmax, the IoU itself",
    "bce": "one yes or no per class, for classes that overlap",
}


def loss_terms(text: str) -> list[tuple[float, str]]:
    """Read ``ce+0.5*dice`` as factors and names.

    Raises:
        OptionError: A name is unknown, a factor no positive number, or ``bce`` is mixed with
            losses of classes that exclude each other.
    """
    terms = []
    for part in text.split("+"):
        factor, star, name = part.strip().rpartition("*")
        try:
            value = float(factor) if star else 1.0
        except ValueError:
            value = math.nan
        if name.strip() not in LOSSES or not 0 < value < math.inf:
            msg = f"--loss {text!r}: {part.strip()!r} is no loss"
            raise OptionError(msg, hint=f"Known: {', '.join(LOSSES)}; e.g. ce+0.5*dice.")
        terms.append((value, name.strip()))
    names = {name for _, name in terms}
    if "bce" in names and len(names) > 1:
        msg = f"--loss {text!r}: bce is for classes that overlap, the others for those that do not"
        raise OptionError(msg, hint="Use bce alone.")
    return terms


def is_per_class(text: str) -> bool:
    """Tell whether classes may overlap: a yes or no for each."""
    return any(name == "bce" for _, name in loss_terms(text))
