"""Where models are found: the ones inside the package, and any folder."""

from __future__ import annotations

from pathlib import Path

from geoseg.errors import ModelError
from geoseg.model.card import CARD_NAME, ModelCard, read_card

__all__ = ["bundled_models", "find_model"]

_BUNDLED = Path(__file__).parent / "bundled"


def bundled_models() -> dict[str, Path]:
    """Return the folders of the models that ship with geoseg, by name."""
    return {path.parent.name: path.parent for path in sorted(_BUNDLED.glob(f"*/{CARD_NAME}"))}


def find_model(name_or_folder: str) -> tuple[Path, ModelCard]:
    """Return folder and card of a bundled model or of a model folder.

    Raises:
        ModelError: There is no such model, or its card is wrong.
    """
    bundled = bundled_models()
    folder = bundled.get(name_or_folder, Path(name_or_folder))
    try:
        is_there = name_or_folder in bundled or folder.is_dir()
        folder = folder.resolve() if is_there else folder
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before 3.13
        what = getattr(error, "strerror", None) or error
        msg = f"cannot look into the model folder {name_or_folder!r}: {what}"
        raise ModelError(msg) from error
    if not is_there:
        msg = f"there is no model {name_or_folder!r}"
        raise ModelError(
            msg,
            hint=f"Give a model folder or one of: {', '.join(bundled)} ('geoseg models list').",
        )
    return folder, read_card(folder)
