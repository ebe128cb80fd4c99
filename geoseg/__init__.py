"""geoseg turns a georeferenced image of any size into a land-cover map and polygons.

In Python as on the command line::

    import geoseg

    result = geoseg.run("scene.tif", out="scene_map")
    print(result.files["classes"], result.classes)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.version import __version__

if TYPE_CHECKING:
    from geoseg.run.events import Progress
    from geoseg.run.pipeline import RunResult

__all__ = ["__version__", "run"]


def run(
    scene: str | Path,
    *,
    out: str | Path | None = None,
    progress: Progress | None = None,
    **options: Any,  # noqa: ANN401 - the fields of RunOptions, checked there
) -> RunResult:
    """Map the land cover of one scene; the same as ``geoseg run``.

    Args:
        scene: Path or URL of anything that GDAL reads as a raster.
        out: Result folder; default ``<scene stem>_geoseg`` in the current folder.
        progress: Called with the events of ``geoseg.run.events``.
        **options: Fields of ``geoseg.options.RunOptions``, e.g. ``model``, ``aoi``,
            ``formats``, ``overwrite``.

    Returns:
        Files, pixels and area per class, counts and times.

    Raises:
        GeosegError: In one line what is wrong; ``hint`` tells what to do.
    """
    from geoseg.options import RunOptions  # noqa: PLC0415 - keeps "import geoseg" light
    from geoseg.run.pipeline import run as run_scene  # noqa: PLC0415

    folder = None if out is None else Path(out)
    chosen = RunOptions(scene=str(scene), out=folder, **options)
    return run_scene(chosen) if progress is None else run_scene(chosen, progress)
