"""The classes of the bundled model and sets of classes as bits.

A label pixel is a set of classes that it may be: bit c is set where class c is allowed. One set
bit is an ordinary label, several bits a partial label, no bit a pixel of which nothing is known.
"""

from __future__ import annotations

BUILDING, LAND, ROAD, VEGETATION, WATER = range(5)
NAMES = ("building", "land", "road", "vegetation", "water")
COLOURS = ("#C8452D", "#D9C9A3", "#6E6E73", "#4E8F3A", "#2F6FB5")
DESCRIPTIONS = (
    "Roofs; in dense housing often the whole block with its yards.",
    "Bare or sandy ground, yards, harvested and ploughed fields.",
    "Streets, roads, car parks and other paved ground.",
    "Trees, shrubs, lawns and growing crops.",
    "Sea, rivers, lakes, ponds and pools.",
)
COUNT = len(NAMES)
UNKNOWN = 0


def bits(*classes: int) -> int:
    """Give the set of some classes as bits."""
    return sum(1 << number for number in classes)


NOT_BUILDING = bits(LAND, ROAD, VEGETATION, WATER)
EXACT = tuple(bits(number) for number in range(COUNT))

LEGEND = ",".join(
    f"{number}:{name}:{colour}"
    for number, (name, colour) in enumerate(zip(NAMES, COLOURS, strict=True))
)
"""As ``--classes``."""
REAL_SETS = (*EXACT, NOT_BUILDING, bits(BUILDING, ROAD), bits(BUILDING, LAND, ROAD))
"""Sets that the labels of real places hold."""
DESERT_SETS = (bits(BUILDING, LAND), bits(BUILDING, VEGETATION))
"""Sets that the labels of synthetic deserts hold besides."""


def match_of(sets: tuple[int, ...]) -> str:
    """Return sets of classes as ``--match``, which takes only what the labels hold."""
    return ",".join(
        f"{value}=" + "|".join(name for k, name in enumerate(NAMES) if value >> k & 1)
        for value in sets
    )
