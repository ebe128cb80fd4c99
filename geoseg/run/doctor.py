"""Is this installation sound? Facts and checks, in words that fit a bug report.

Every probe is guarded: a library that does not load, a driver that is missing or a run
that fails becomes a finding, never a traceback. The self-test is a real run of a small
scene in a temporary folder.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from geoseg.errors import GeosegError
from geoseg.model.registry import bundled_models, find_model
from geoseg.options import DEFAULT_MODEL
from geoseg.run.report import versions
from geoseg.version import __version__

__all__ = ["Diagnosis", "Finding", "diagnose"]

Verdict = Literal["ok", "fail", "warn", "info"]

_LOW_DISK_BYTES: Final = 1 << 30
_LOW_MEMORY_BYTES: Final = 2 << 30
_TEST_SIDE_PX: Final = 300
_RESULTS: Final = ("classes", "confidence", "style", "polygons_gpkg", "item", "run")
# What is known to break or change GDAL, PROJ, CUDA and thread counts from outside.
_TELLING_VARIABLES: Final = (
    "CUDA_VISIBLE_DEVICES", "GDAL_DATA", "GDAL_DRIVER_PATH", "LD_LIBRARY_PATH",
    "OMP_NUM_THREADS", "PROJ_DATA", "PROJ_LIB", "PYTHONHOME", "PYTHONPATH",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report."""

    section: str
    """``versions``, ``system``, ``raster``, ``vector``, ``devices``, ``models``, ``self-test``."""
    name: str
    """What was looked at."""
    verdict: Verdict
    """``ok`` or ``fail`` for a check, ``warn`` for a limit, ``info`` for a fact."""
    text: str
    """What was found, one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All findings."""

    findings: tuple[Finding, ...]
    """In the order of the report."""

    @property
    def broken(self) -> bool:
        """True where at least one check failed."""
        return any(f.verdict == "fail" for f in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return the report as one ``doctor`` event."""
        return {
            "event": "doctor",
            "ok": not self.broken,
            "findings": [asdict(f) for f in self.findings],
        }


def diagnose(
    *,
    model: str = DEFAULT_MODEL,
    environment: Mapping[str, str] | None = None,
    self_test: bool = True,
    listen: Callable[[Finding], None] = lambda _: None,
) -> Diagnosis:
    """Look at everything and run the self-test.

    Args:
        model: Model of the self-test, a bundled name or a folder.
        environment: The process environment, for the variables that matter.
        self_test: Run a small scene, about two seconds and the time to import torch.
        listen: Called with every finding as it is made.
    """
    sections: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("versions", _versions),
        ("system", lambda: _system(environment or {})),
        ("raster", _raster),
        ("vector", _vector),
        ("devices", lambda: _devices(model)),
        ("models", lambda: _models(model)),
    ]
    if self_test:
        sections.append(("self-test", lambda: _self_test(model)))
    findings: list[Finding] = []
    for name, probe in sections:
        for finding in _guarded(name, probe):
            findings.append(finding)
            listen(finding)
    return Diagnosis(findings=tuple(findings))


def _guarded(section: str, probe: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield a probe's findings; a library that does not load is one of them."""
    try:
        yield from probe()
    except GeosegError as error:
        yield _finding(section, section, "fail", str(error))
    except (ImportError, OSError, RuntimeError, AttributeError, ValueError) as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        yield _finding(section, section, "fail", text[:300])


def _finding(section: str, name: str, verdict: Verdict, text: str) -> Finding:
    return Finding(section=section, name=name, verdict=verdict, text=text)


def _versions() -> Iterator[Finding]:
    found = versions()
    yield _finding("versions", "geoseg", "info", __version__)
    implementation = platform.python_implementation()
    yield _finding("versions", "python", "info", f"{found['python']} ({implementation})")
    for name, version in found.items():
        if name not in {"geoseg", "python"}:
            yield _finding("versions", name, "info", version)


def _system(environment: Mapping[str, str]) -> Iterator[Finding]:
    yield _finding("system", "platform", "info", platform.platform())
    total, free = _memory()
    if total is not None:
        text = f"{_gib(total)} in all" + (f", {_gib(free)} free" if free is not None else "")
        low = (total if free is None else free) < _LOW_MEMORY_BYTES
        yield _finding("system", "memory", "warn" if low else "ok", text)
    for name, folder in (("disk here", Path.cwd()), ("disk temp", Path(tempfile.gettempdir()))):
        left = shutil.disk_usage(folder).free
        verdict: Verdict = "warn" if left < _LOW_DISK_BYTES else "ok"
        yield _finding("system", name, verdict, f"{_gib(left)} free")
    for name in _TELLING_VARIABLES:
        if name in environment:
            yield _finding("system", name, "info", environment[name] or "(empty)")


def _memory() -> tuple[int | None, int | None]:
    """Return (all, available) bytes of main memory as far as the system tells."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # pragma: no cover - Windows
        return None, None
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:  # pragma: no cover - not Linux
        return total, None
    free = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")]
    return total, free[0] if free else None


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"


def _raster() -> Iterator[Finding]:
    from geoseg.raster.probe import gdal_facts  # noqa: PLC0415 - a broken GDAL is a finding

    facts = gdal_facts()
    text = f"GDAL {facts.gdal}, PROJ {facts.proj}, GEOS {facts.geos}"
    yield _finding("raster", "libraries", "info", text)
    if facts.missing:
        text = f"missing: {', '.join(facts.missing)}"
        yield _finding("raster", "drivers", "fail", text)
    else:
        yield _finding("raster", "drivers", "ok", ", ".join(facts.present))
    if facts.absent:
        text = f"cannot read {', '.join(facts.absent)}"
        yield _finding("raster", "formats", "warn", text)


def _vector() -> Iterator[Finding]:
    import pyproj  # noqa: PLC0415 - a broken PROJ is a finding

    from geoseg.vector.probe import vector_facts  # noqa: PLC0415 - the same

    facts = vector_facts()
    text = f"GDAL {facts.gdal}, PROJ {pyproj.proj_version_str}, GEOS {facts.geos}"
    yield _finding("vector", "libraries", "info", text)
    if facts.missing:
        yield _finding("vector", "drivers", "fail", f"missing: {', '.join(facts.missing)}")
    else:
        yield _finding("vector", "drivers", "ok", ", ".join(facts.drivers))


def _devices(model: str) -> Iterator[Finding]:
    from geoseg.model.device import choose_device  # noqa: PLC0415 - torch
    from geoseg.model.probe import DeviceFacts, probe_devices  # noqa: PLC0415 - torch
    from geoseg.run.tuning import stored_setting  # noqa: PLC0415 - with the devices

    def line(device: DeviceFacts) -> str:
        parts = [device.description]
        if device.cores is not None:
            parts.append(f"{device.cores} core(s)")
        if device.memory_bytes is not None and device.free_bytes is not None:
            parts.append(f"{_gib(device.memory_bytes)}, {_gib(device.free_bytes)} free")
        if device.bf16 is not None:
            parts.append("bf16 in hardware" if device.bf16 else "no bf16 in hardware")
        return "; ".join(parts)

    for device in probe_devices():
        verdict: Verdict = "ok" if device.available else "info"
        text = line(device) if device.available else f"not used: {line(device)}"
        yield _finding("devices", device.name, verdict, text)
    try:
        folder, card = find_model(model)
    except GeosegError:
        return  # the models' section says it
    chosen = choose_device("auto", "auto", card, folder)
    yield _finding("devices", "auto", "info", chosen.text)
    setting = stored_setting(card, folder, chosen.name)
    told = "not measured ('geoseg tune')" if setting is None else setting.text
    yield _finding("devices", "setting", "info", told)


def _models(model: str) -> Iterator[Finding]:
    from geoseg.model.probe import check_bundled_models, check_model  # noqa: PLC0415 - torch

    states = list(check_bundled_models())
    if not any(s.name == DEFAULT_MODEL for s in states):
        text = f"the bundled model {DEFAULT_MODEL!r} is missing; install geoseg again"
        yield _finding("models", DEFAULT_MODEL, "fail", text)
    if model not in bundled_models():
        folder, card = find_model(model)
        states.append(check_model(card.name, folder))
    for state in states:
        if state.problem:
            yield _finding("models", state.name, "fail", state.problem)
        else:
            yield _finding("models", state.name, "ok", "card and weights belong together")


def _self_test(model: str) -> Iterator[Finding]:
    """Map a small scene for real and look at what was written."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="geoseg-doctor-") as folder:
        problems = _trial(Path(folder), model)
    seconds = time.perf_counter() - start
    if problems:
        yield _finding("self-test", "run", "fail", "; ".join(problems))
        return
    text = f"{_TEST_SIDE_PX} x {_TEST_SIDE_PX} px mapped, files as they should be, {seconds:.1f} s"
    yield _finding("self-test", "run", "ok", text)


def _trial(folder: Path, model: str) -> list[str]:
    """Run the pipeline on a scene that suits the model; return what is wrong."""
    from geoseg.options import RunOptions  # noqa: PLC0415 - with the pipeline
    from geoseg.raster.probe import write_test_scene  # noqa: PLC0415 - rasterio
    from geoseg.run.pipeline import run  # noqa: PLC0415 - torch, dask

    _, card = find_model(model)
    scene = folder / "scene.tif"
    valid_px = write_test_scene(
        scene,
        side_px=_TEST_SIDE_PX,
        gsd_m=card.gsd_m or 1.0,
        value_range=card.value_range,
        bands=card.bands,
    )
    # The true pixel size of a UTM grid is not quite the nominal one, hence --gsd.
    options = RunOptions(
        scene=str(scene), model=model, out=folder / "out", gsd_m=card.gsd_m, formats=("gpkg",)
    )
    result = run(options)
    return list(_wrong_results(result.files, set(card.legend.ids), card.legend.nodata_id, valid_px))


def _wrong_results(
    files: Mapping[str, Path], class_ids: set[int], nodata_id: int, valid_px: int
) -> Iterator[str]:
    """Yield one phrase per result file that is missing or says something else."""
    from geoseg.raster.probe import class_raster_facts  # noqa: PLC0415 - rasterio
    from geoseg.vector.probe import layer_px_count  # noqa: PLC0415 - pyogrio

    missing = [name for name in _RESULTS if name not in files or not files[name].is_file()]
    if missing:
        yield f"missing results: {', '.join(missing)}"
        return
    facts = class_raster_facts(files["classes"])
    if facts.shape != (_TEST_SIDE_PX, _TEST_SIDE_PX) or not facts.is_cog:
        yield f"classes.tif is {facts.shape}, cloud optimized {facts.is_cog}"
    if not set(facts.px_by_value) <= class_ids | {nodata_id}:
        yield f"classes.tif holds values outside the legend: {sorted(facts.px_by_value)}"
    mapped = sum(n for value, n in facts.px_by_value.items() if value != nodata_id)
    if mapped != valid_px:
        yield f"{mapped} pixels have a class, the scene has {valid_px} valid ones"
    _, in_polygons = layer_px_count(files["polygons_gpkg"])
    if in_polygons != mapped:
        yield f"polygons cover {in_polygons} pixels, the raster {mapped}"
