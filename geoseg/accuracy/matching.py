"""Which class of the map a value of the reference stands for."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.confusion import occurring, places_of
from geoseg.errors import MismatchError, OptionError
from geoseg.legend import whole_number

__all__ = ["HeldValues", "Matching", "parse_match", "unheld_warning", "with_background"]

_LISTED = 12
_BLANKS = str.maketrans("\r\n\t", "   ")
_LARGEST = np.iinfo(np.int64).max


def parse_match(text: str | None) -> dict[str, str]:
    """Read ``7=water,forest=vegetation``: reference value on the left, class on the right.

    An empty right side means that the value is left out of the comparison. A pair with a comma
    stands in double quotes, as in CSV: ``"sand, bare=land",7=water``.

    Raises:
        OptionError: The text is of another form.
    """
    found: dict[str, str] = {}
    line = (text or "").translate(_BLANKS)
    try:
        parts = next(csv.reader([line], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        msg = f"--match {text!r} has a quote that does not open and close a whole pair"
        raise OptionError(msg, hint="For example '\"sand, bare=land\",7=water'.") from error
    for part in parts:
        if not part.strip():
            continue
        left, sign, right = part.partition("=")
        if not sign or not left.strip():
            msg = f"--match {part!r} is not of the form VALUE=CLASS"
            raise OptionError(msg, hint='For example --match "7=water,8=water,99=".')
        found[left.strip()] = right.strip()
    return found


def with_background(
    told: Mapping[str, str], names: Mapping[int, str], value: int | None, background: str | None
) -> dict[str, str]:
    """Return what the user says of values, and that one of them is the background.

    Args:
        told: As ``parse_match`` gives it; what it says of the value goes before.
        names: What the file calls its numbers.
        value: The number that marks ground without a label; None where there is none.
        background: The class of such ground.
    """
    found = dict(told)
    if value is not None and background is not None and names.get(value, "") not in told:
        found.setdefault(str(value), background)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldValues:
    """What a reference holds, as far as read; adds up over references."""

    texts: frozenset[str] = frozenset()
    """Its values, and its own names for them."""
    is_all: bool = True
    """False where parts of it lie elsewhere and were not read."""

    def __or__(self, other: HeldValues) -> HeldValues:
        """Return what both hold."""
        return HeldValues(texts=self.texts | other.texts, is_all=self.is_all and other.is_all)


def unheld_warning(told: Mapping[str, str], held: HeldValues, source: str) -> str | None:
    """Tell of what ``--match`` says of a value that is nowhere: a slip of the pen, as a rule.

    Args:
        told: As ``parse_match`` gives it.
        held: Values of all references together.
        source: What the message calls the references.

    Returns:
        A warning where the value may lie in what was not read, None where there is nothing to
        warn of.

    Raises:
        OptionError: The value is nowhere for certain.
    """
    unknown = [key for key in told if key not in held.texts]
    if not unknown:
        return None
    shown = sorted(held.texts - {""}, key=_in_order)
    listing = ", ".join(shown[:_LISTED]) or "none"
    more = f" and {len(shown) - _LISTED} more" if len(shown) > _LISTED else ""
    reach = "" if held.is_all else " as far as read"
    msg = f"--match names {unknown[0]!r}, which is no value of {source}{reach} ({listing}{more})"
    if held.is_all:
        raise OptionError(msg, hint="On the left side stands a value, written as it is there.")
    return msg


def _in_order(text: str) -> tuple[bool, int, str]:
    """Sort numbers before words."""
    number = whole_number(text)
    return number is None, number or 0, text


@dataclass(frozen=True, slots=True)
class Matching:
    """From values of the reference to class ids of the map."""

    names: Mapping[int, str]
    """Class ids of the map and their names."""
    others: Callable[[], Collection[int]] = tuple
    """Numbers that the map shows without a name. Asked for only where they decide, or are to be
    listed: to know them, all of the map must be read."""
    told: Mapping[str, str] = field(default_factory=dict)
    """What the user says: value or name of the reference to id or name of the map, or ''."""
    reference_names: Mapping[int, str] = field(default_factory=dict)
    """What the reference calls its own numbers."""
    any_number: bool = False
    """The map has no names: every number is a class, also one that the map missed."""
    source: str = "the reference"
    """What messages call the reference ..."""
    target: str = "the map"
    """... and the map."""

    def __post_init__(self) -> None:
        """Refuse numbers that mean two things."""
        for value, name in self.reference_names.items():
            if str(value) in self.told or name in self.told:
                continue
            ours = self.names.get(value, str(value))
            if name.casefold() != ours.casefold() and self._is_shown(value):
                msg = f"class {value} is {ours!r} in {self.target} and {name!r} in {self.source}"
                raise MismatchError(msg, hint=f"Say what it is: --match {value}=CLASS.")

    def class_id(self, value: int | str) -> int | None:
        """Return the map's class id for a value of the reference; None to leave it out.

        What the user says comes first, then the number, then the reference's own name for it.

        Raises:
            MismatchError: The map has no such class.
        """
        text = str(value).strip()
        number = whole_number(text)
        name = None if number is None else self.reference_names.get(number)
        for called in (text, name):
            if called is not None and called in self.told:
                told = self.told[called]
                return self.named(told) if told else None
        for each in (text,) if name is None else (text, name):
            found = self._found(each)
            if found is not None:
                return found
        msg = f"{(name or text)!r} in {self.source} is no class of {self.target}"
        msg += f" ({self._listing()})"
        raise MismatchError(
            msg, hint=f"Say which one it is with --match {text}=CLASS, or leave it out: {text}=."
        )

    def named(self, text: str, option: str = "--match") -> int:
        """Return the map's class id for an id or a name of the map.

        Args:
            text: Id or name.
            option: Where the user gave it.

        Raises:
            MismatchError: The map has no such class.
        """
        found = self._found(text)
        if found is None:
            msg = f"{option} names {text!r}, which is no class of {self.target}"
            msg += f" ({self._listing()})"
            where = "On the right side stands" if option == "--match" else "Name"
            raise MismatchError(msg, hint=f"{where} a class, by its id or name.")
        return found

    def _is_shown(self, number: int) -> bool:
        return number in self.names or number in self.others()

    def _found(self, text: str) -> int | None:
        number = whole_number(text)
        is_id = number is not None and abs(number) <= _LARGEST
        if number is not None and is_id and (self.any_number or self._is_shown(number)):
            return number
        for class_id, name in self.names.items():
            if name.casefold() == text.casefold():
                return class_id
        return None

    def _listing(self) -> str:
        names = {number: str(number) for number in self.others()} | dict(self.names)
        return ", ".join(f"{i} {n}" for i, n in list(names.items())[:_LISTED])

    def class_ids(
        self, values: NDArray[np.int64], valid: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_], list[int]]:
        """Return class ids, where there are any, and what occurs in a reference raster.

        Args:
            values: (row, col) numbers of the reference.
            valid: (row, col) where they mean anything.
        """
        chosen = values[valid]
        numbers = occurring(chosen)
        place = places_of(chosen, numbers)
        ids = [self.class_id(int(value)) for value in numbers]
        table = np.array([0 if i is None else i for i in ids], dtype=np.int64)
        kept = np.array([i is not None for i in ids], dtype=np.bool_)
        found, known = np.zeros_like(values), np.zeros_like(valid)
        if len(numbers):
            found[valid], known[valid] = table[place], kept[place]
        return found, known, numbers.tolist()
