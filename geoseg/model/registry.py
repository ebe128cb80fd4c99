"""Where models are found: the ones inside the package, and any folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from geoseg.errors import ModelError
from geoseg.model.card import CARD_NAME, ModelCard, read_card

__all__ = ["DEFAULT_MODEL", "bundled_models", "find_model"]

DEFAULT_MODEL: Final = "aerial-landcover"
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
    if name_or_folder not in bundled and not folder.is_dir():
        msg = f"there is no model {name_or_folder!r}"
        raise ModelError(
            msg,
            hint=f"Give a model folder or one of: {', '.join(bundled)} ('geoseg models list').",
        )
    folder = folder.resolve()
    return folder, read_card(folder)
