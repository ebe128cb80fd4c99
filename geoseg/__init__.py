"""geoseg turns a georeferenced image of any size into a land-cover map and polygons.

In Python as on the command line::

    import geoseg

    result = geoseg.run("scene.tif", out="scene_map")
    print(result.files["classes"], result.classes)
    geoseg.batch("scenes/", out="maps")
    geoseg.vectorise("landcover.tif", out="landcover.gpkg", min_area="400m2")
    geoseg.evaluate("scene_map", reference="labels.tif").evaluation.scores.mean_iou
    geoseg.train("scene.tif", labels="polygons.gpkg", out="my_model", minutes=10)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.version import __version__

if TYPE_CHECKING:
    from geoseg.run.batch import BatchResult
    from geoseg.run.evaluate import EvaluateResult
    from geoseg.run.events import Progress
    from geoseg.run.pipeline import RunResult
    from geoseg.run.train import TrainResult
    from geoseg.run.vectorise import VectoriseResult

__all__ = ["__version__", "batch", "evaluate", "run", "train", "vectorise"]


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


def batch(
    sources: str | Path | tuple[str | Path, ...] | list[str | Path],
    *,
    out: str | Path,
    progress: Progress | None = None,
    scene: dict[str, Any] | None = None,
    cluster: dict[str, Any] | None = None,
    **options: Any,  # noqa: ANN401 - the fields of BatchOptions, checked there
) -> BatchResult:
    """Map many scenes; the same as ``geoseg batch``.

    In a script, call it under ``if __name__ == "__main__":``, as it starts worker processes.

    Args:
        sources: Rasters, globs, folders, lists and STAC documents, by path or URL.
        out: Folder, or ``s3://bucket/prefix``, for all results.
        progress: Called with the events of ``geoseg.run.events``.
        scene: Fields of ``geoseg.options.RunOptions`` for every scene, e.g. ``model``, ``formats``.
        cluster: Fields of ``geoseg.options.ClusterOptions``, e.g. ``scheduler``, ``processes``.
        **options: Fields of ``geoseg.options.BatchOptions``, e.g. ``retries``, ``since``.

    Returns:
        What became of each scene.

    Raises:
        ScenesFailedError: Some scenes failed; the others are complete.
        BatchInterruptedError: It was stopped; the same call continues.
        GeosegError: It could not begin.
    """
    from geoseg.options import (  # noqa: PLC0415 - keeps "import geoseg" light
        BatchOptions,
        ClusterOptions,
        RunOptions,
    )
    from geoseg.run.batch import run_batch  # noqa: PLC0415

    chosen = BatchOptions(
        sources=_texts(sources),
        out=str(out),
        scene=RunOptions(scene="", **(scene or {})),
        cluster=ClusterOptions(**(cluster or {})),
        **options,
    )
    return run_batch(chosen) if progress is None else run_batch(chosen, progress)


def vectorise(
    raster: str | Path,
    *,
    out: str | Path | tuple[str | Path, ...] | list[str | Path] = (),
    progress: Progress | None = None,
    **options: Any,  # noqa: ANN401 - the fields of VectoriseOptions, checked there
) -> VectoriseResult:
    """Turn a class raster into polygons; the same as ``geoseg vectorise``.

    Args:
        raster: Path or URL of a raster of whole class numbers.
        out: File or files to make; the ending tells the format. None with ``postgis`` only.
        progress: Called with the events of ``geoseg.run.events``.
        **options: Fields of ``geoseg.options.VectoriseOptions``, e.g. ``min_area``,
            ``confidence``, ``legend``, ``overwrite``.

    Returns:
        Files, legend, pixels and area per class, number of polygons.

    Raises:
        GeosegError: In one line what is wrong; ``hint`` tells what to do.
    """
    from geoseg.options import VectoriseOptions  # noqa: PLC0415 - keeps "import geoseg" light
    from geoseg.run.vectorise import vectorise as vectorise_raster  # noqa: PLC0415

    files = tuple(map(Path, [out] if isinstance(out, str | Path) else out))
    chosen = VectoriseOptions(raster=str(raster), out=files, **options)
    return vectorise_raster(chosen) if progress is None else vectorise_raster(chosen, progress)


def evaluate(
    maps: str | Path | tuple[str | Path, ...] | list[str | Path],
    *,
    reference: str | Path | tuple[str | Path, ...] | list[str | Path],
    **options: Any,  # noqa: ANN401 - the fields of EvaluateOptions, checked there
) -> EvaluateResult:
    """Compare maps with what is known of the ground; the same as ``geoseg evaluate``.

    Args:
        maps: Class raster or rasters, or folders that ``geoseg run`` made.
        reference: Class raster, polygons or points; one for all maps, or one for each.
        **options: Fields of ``geoseg.options.EvaluateOptions``, e.g. ``column``, ``match``,
            ``align``, ``out``.

    Returns:
        All numbers, and the files where ``out`` was given.

    Raises:
        GeosegError: In one line what is wrong; ``hint`` tells what to do.
    """
    from geoseg.options import EvaluateOptions  # noqa: PLC0415 - keeps "import geoseg" light
    from geoseg.run.evaluate import evaluate as evaluate_maps  # noqa: PLC0415

    chosen = EvaluateOptions(maps=_texts(maps), references=_texts(reference), **options)
    return evaluate_maps(chosen)


def train(
    data: str | Path | tuple[str | Path, ...] | list[str | Path],
    *,
    out: str | Path,
    labels: str | Path | tuple[str | Path, ...] | list[str | Path] = (),
    progress: Progress | None = None,
    **options: Any,  # noqa: ANN401 - the fields of TrainOptions, checked there
) -> TrainResult:
    """Train a model on labelled scenes; the same as ``geoseg train``.

    In a script, call it under ``if __name__ == "__main__":``, as the memory of the finished
    network is measured in a fresh process.

    Args:
        data: Scene or scenes; or one folder, or one list of pairs.
        out: Model folder to make.
        labels: Class raster or polygons for each scene.
        progress: Called with the events of ``geoseg.run.events``.
        **options: Fields of ``geoseg.options.TrainOptions``, e.g. ``minutes``, ``arch``,
            ``column``, ``overwrite``.

    Returns:
        The model folder, its card, and the accuracy on ground that was not trained on.

    Raises:
        GeosegError: In one line what is wrong; ``hint`` tells what to do.
    """
    from geoseg.options import TrainOptions  # noqa: PLC0415 - keeps "import geoseg" light
    from geoseg.run.train import train as train_model  # noqa: PLC0415

    chosen = TrainOptions(data=_texts(data), labels=_texts(labels), out=Path(out), **options)
    return train_model(chosen) if progress is None else train_model(chosen, progress)


def _texts(paths: str | Path | tuple[str | Path, ...] | list[str | Path]) -> tuple[str, ...]:
    return tuple(map(str, [paths] if isinstance(paths, str | Path) else paths))
