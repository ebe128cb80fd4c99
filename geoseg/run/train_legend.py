"""What the labels of all scenes mean together: their legend, and what may not be meant so."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from geoseg.accuracy.matching import HeldValues, parse_match, unheld_warning
from geoseg.errors import OptionError
from geoseg.legend import MAX_CLASS_ID, Legend, found_legend, whole_number
from geoseg.run.train_labels import (
    NONE_OF_THEM,
    LabelSource,
    classes_of,
    is_ignored,
    nothing_there,
    told_of,
)
from geoseg.run.train_pairs import TrainPair

__all__ = [
    "background_warnings",
    "common_legend",
    "match_warnings",
    "require_backgrounds",
    "unlabelled_warnings",
]

_NODATA: Final = 255
_LISTED: Final = 5


def common_legend(sources: list[LabelSource], match: str | None) -> Legend:
    """Return the classes that the labels themselves tell.

    Numbers keep their ids, and names that the files give them; texts get ids from 0 in the
    order of the alphabet, the background after them. 255 without a name is no class, nor is
    what lies below 0.

    Raises:
        OptionError: There is no class, one only, or an id beyond 254.
    """
    ids, texts = set[int](), set[str]()
    names, colours = dict[int, str](), dict[int, str]()
    for source in sources:
        told, own_names = told_of(source, match), source.names
        colours |= dict(source.raster.colours) if source.raster else {}
        for value in source.values:
            meaning = told.get(value)
            if meaning is None and is_ignored(source, value):
                continue
            for part in [str(value)] if meaning is None else classes_of(meaning):
                number = whole_number(part)
                if number is None:
                    texts.add(part)
                    continue
                ids.add(number)
                if meaning is None and number in own_names:
                    names.setdefault(number, own_names[number])
    rest = [part for source in sources for part in classes_of(source.pair.background or "")]
    ids |= {number for part in rest if (number := whole_number(part)) is not None}
    numbers = {i: names.get(i, f"class {i}") for i in sorted(ids)}
    last = [part for part in rest if whole_number(part) is None]
    legend = _legend(numbers, texts, last, colours)
    if len(legend) < 2:  # noqa: PLR2004 - a map needs two classes
        raise _one_class(legend, sources)
    return legend


def _one_class(legend: Legend, sources: list[LabelSource]) -> OptionError:
    msg = f"the labels hold one class only ({legend.classes[0].name!r})"
    hint = "Label what is not of the class too, or name the class of the rest with --background."
    if any(source.pair.background for source in sources):
        hint = "The background must be another class; beside --background - there must be two."
    return OptionError(msg, hint=hint)


def _legend(
    numbers: dict[int, str], texts: set[str], last: list[str], colours: dict[int, str]
) -> Legend:
    """Return the legend of numbers and their names, of texts, and of texts that come last."""
    taken = {name.casefold() for name in numbers.values()}
    free = (i for i in range(MAX_CLASS_ID + 1) if i not in numbers)
    # Forest and forest are one class, as everywhere.
    folded = {text.casefold(): text for text in sorted(texts, reverse=True)}
    after = {text.casefold(): text for text in reversed(last)}
    new = sorted(text for fold, text in folded.items() if fold not in taken | set(after))
    new += [text for fold, text in reversed(after.items()) if fold not in taken]
    numbers |= dict(zip(free, new, strict=False))
    if not numbers:
        msg = "the labels hold no class"
        raise OptionError(msg, hint="Name classes in the labels, or with --match.")
    beyond = [number for number in numbers if not 0 <= number <= MAX_CLASS_ID]
    if beyond:
        msg = f"the labels hold class {beyond[0]}, a map takes 0 to {MAX_CLASS_ID}"
        raise OptionError(msg, hint="Give them other ids with --classes and --match.")
    found = found_legend(numbers, names=numbers, colours=colours, nodata_id=_NODATA)
    return replace(found, wide=False)


def require_backgrounds(pairs: tuple[TrainPair, ...], *, overlap: bool) -> None:
    """Refuse backgrounds that are no class, or none of the classes where these exclude each other.

    Raises:
        OptionError: There is one.
    """
    for text in dict.fromkeys(p.background for p in pairs if p.background is not None):
        parts = [part.strip() for part in text.split("|")]
        if not all(parts):
            msg = f"--background {text!r} names no class"
            raise OptionError(msg, hint="For example --background other.")
        if overlap and parts != [NONE_OF_THEM]:
            msg = f"--background names {text!r}, but of classes that overlap the rest is none"
            raise OptionError(msg, hint="With --loss bce it is --background -.")
        if not overlap and NONE_OF_THEM in parts:
            msg = "--background - is none of the classes, which only --loss bce knows"
            raise OptionError(msg, hint="Name a class for the rest, e.g. --background other.")


def background_warnings(sources: list[LabelSource]) -> list[str]:
    """Return a warning for each pair whose background may not be what was meant.

    Raises:
        MismatchError: No polygon of any file lies on its scene.
    """
    found, empty = [], []
    for source in sources:
        pair = source.pair
        if pair.background is None:
            continue
        if source.shapes is not None and not source.shapes.touching_window(source.grid.window):
            empty.append(pair)
            found.append(
                f"no polygon of {pair.labels} lies on {pair.image}: all of it is taken as "
                f"{pair.background!r}"
            )
        if source.raster is not None and source.background_value is None:
            found.append(
                f"{pair.labels}: no nodata from 0 to 254, so none of it is the background "
                "(--match VALUE=CLASS says what a value is)"
            )
    # Ground without a building is worth much, but labels in a wrong place look the same.
    if empty and len(empty) == sum(source.shapes is not None for source in sources):
        raise nothing_there(empty[0])
    return found


def match_warnings(sources: list[LabelSource], match: str | None) -> list[str]:
    """Return a warning for each ``--match`` with a value that its labels may not hold.

    Raises:
        OptionError: They do not hold it for certain, or the text is of another form.
    """
    held: dict[str, HeldValues] = {}
    for source in sources:
        text = source.pair.match or match or ""
        held[text] = held.get(text, HeldValues()) | source.held
    found = [unheld_warning(parse_match(text), own, "the labels") for text, own in held.items()]
    return [warning for warning in found if warning is not None]


def unlabelled_warnings(sources: list[LabelSource], match: str | None) -> list[str]:
    """Return a warning for each file whose numbers below 0 are taken as unlabelled.

    Many programs mark so what is not known; but a person may have meant a class.
    """
    found = []
    for source in sources:
        told = told_of(source, match)
        numbers = (whole_number(str(value)) for value in source.values if value not in told)
        below = sorted(number for number in numbers if number is not None and number < 0)
        if below:
            listing = ", ".join(map(str, below[:_LISTED]))
            more = f" and {len(below) - _LISTED} more" if len(below) > _LISTED else ""
            found.append(
                f"{source.pair.labels}: values below 0 are taken as unlabelled: {listing}{more} "
                f"(--match {below[0]}=CLASS gives a class, --match {below[0]}= leaves out)"
            )
    return found
