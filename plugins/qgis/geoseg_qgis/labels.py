"""Names of parameters for people; what they mean comes from the command's own help."""

from __future__ import annotations

import re
from pathlib import Path

from .options import load_command
from .text import tr

__all__ = ["default_of", "help_of", "in_panel_words", "label"]


def label(name: str, command: str = "") -> str:
    """Return the name of a parameter; one that is not in the table is spelt out."""
    found = _special(command).get(name) or _common().get(name)
    return found or name.replace("_", " ").capitalize()


def help_of(text: str) -> str:
    """Return the command's help in the user's language."""
    return tr(text)


def in_panel_words(text: str, source: str = "") -> str:
    """Return an engine's message for somebody who sees fields and not flags.

    Args:
        text: As the engine says it, with ``--gsd`` and the like.
        source: Path of the scene, which is shown by its name alone.
    """
    flags = {option.flag: option.name for option in load_command("run").options}

    def field(found: re.Match[str]) -> str:
        name = flags.get(found.group())
        return f"'{label(name, 'run')}'" if name else found.group()

    shown = text.replace(source, Path(source).name) if source else text
    return re.sub(r"(?<![\w-])--[a-z][a-z-]*", field, shown)


def default_of(text: str) -> str:
    """Return what a help text says about the default, for an empty field."""
    found = re.search(r"\[[^\]:]+: ([^\];]+)", text)
    return found.group(1) if found else ""


def _special(command: str) -> dict[str, str]:
    """Names that differ from command to command."""
    return {
        "run": {"OUT": tr("Result folder"), "CONFIDENCE": tr("Write the confidence raster")},
        "vectorise": {"OUT": tr("Polygons"), "BAND": tr("Band of the classes")},
        "evaluate": {"OUT": tr("Folder for the report"), "MAP": tr("Map to judge")},
        "train": {
            "OUT": tr("Model folder"),
            "SCENE": tr("Scenes"),
            "CLASSES": tr("Classes and colours"),
            "BLOCK_PX": tr("Side of the blocks of ground [px]"),
            "LICENSE": tr("Licence of the weights"),
            "GSD": tr("Pixel size the model works at [m]"),
        },
    }.get(command, {})


def _common() -> dict[str, str]:
    return {**_data_labels(), **_polygon_labels(), **_engine_labels(), **_training_labels()}


def _data_labels() -> dict[str, str]:
    return {
        "SCENE": tr("Scene"),
        "CLASSES": tr("Class raster"),
        "MODEL": tr("Model: name or folder"),
        "BANDS": tr("Bands"),
        "AOI": tr("Area of interest"),
        "EXTENT": tr("Area of interest as an extent"),
        "GSD": tr("Pixel size to assume [m]"),
        "VALUE_RANGE": tr("Range of values"),
        "NODATA": tr("Nodata value"),
        "NODATA_RULE": tr("A pixel is nodata where ... of its bands are"),
        "BAND": tr("Band of the classes"),
        "REFERENCE": tr("Reference: raster, polygons or points"),
        "REFERENCE_BAND": tr("Band of the classes in the reference"),
        "COLUMN": tr("Attribute that holds the class"),
        "MATCH": tr("What values stand for"),
        "LEGEND": tr("Classes and colours"),
        "ALIGN": tr("Raster on another grid"),
        "CONFIDENCE": tr("Confidence raster"),
        "BOUNDARY_PX": tr("Tolerance at borders [px]"),
        "OVERWRITE": tr("Overwrite"),
        "LOAD": tr("Open the results in the project"),
    }


def _polygon_labels() -> dict[str, str]:
    return {
        "FORMAT": tr("More polygon formats"),
        "NO_POLYGONS": tr("No polygons"),
        "MIN_AREA": tr("Smallest region"),
        "SIMPLIFY": tr("Simplify by"),
        "SIMPLIFY_METHOD": tr("Method of simplifying"),
        "SMOOTH": tr("Smooth polygons"),
        "DISSOLVE": tr("One multipolygon per class"),
        "CONNECTIVITY": tr("Neighbours of a pixel"),
        "CRS": tr("CRS of the polygons"),
        "POSTGIS": tr("PostGIS database"),
        "TABLE": tr("PostGIS table"),
        "KEEP_RAW": tr("Keep the raster with small regions"),
        "SCORES": tr("Write scores of all classes"),
        "SEAMS": tr("Write where windows disagree"),
    }


def _engine_labels() -> dict[str, str]:
    return {
        "STITCH": tr("How windows are joined"),
        "DEVICE": tr("Device"),
        "PRECISION": tr("Precision"),
        "BACKEND": tr("Backend"),
        "BLOCK_PX": tr("Side of a block [px]"),
        "WINDOW_PX": tr("Side of a window [px]"),
        "HALO_PX": tr("Context around windows [px]"),
        "BATCH_SIZE": tr("Windows per batch"),
        "WORKERS": tr("Blocks at a time"),
        "THREADS": tr("Threads"),
        "SCHEDULER": tr("Scheduler"),
    }


def _training_labels() -> dict[str, str]:
    return {
        "LABELS": tr("Labels: rasters or polygons, one for each scene"),
        "SPLIT": tr("Ground for training, validation and test [%]"),
        "FROM": tr("Start from the model"),
        "ARCH": tr("Architecture"),
        "ENCODER": tr("Encoder"),
        "LOSS": tr("Loss"),
        "CLASS_WEIGHTS": tr("Class weights"),
        "STEPS": tr("Batches"),
        "MINUTES": tr("Time [min]"),
        "CHIP_PX": tr("Side of a crop [px]"),
        "RATE": tr("Highest learning rate"),
        "WEIGHT_DECAY": tr("Weight decay"),
        "SCALE": tr("Largest change of scale"),
        "STRENGTH": tr("Strength of variations"),
        "PATIENCE": tr("Looks without progress before the end"),
        "SEED": tr("Seed"),
        "NAME": tr("Name"),
        "TITLE": tr("Title"),
    }
