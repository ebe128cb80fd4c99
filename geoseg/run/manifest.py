"""From what a user gives to an ordered list of scenes.

No header of a scene is opened here: ten thousand of them would take minutes. What is no
raster fails later, by itself, without stopping the others; what is wrong with a list stops
the batch at once, as nobody knows what else is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from geoseg.errors import OptionError
from geoseg.options import BatchOptions
from geoseg.redact import shown_address
from geoseg.run.addresses import absolute, is_path, scheme_of, suffix_of
from geoseg.run.allowed import AllowedRoots, allowed_roots
from geoseg.run.documents import Documents
from geoseg.run.scene_files import changed_of, is_glob, matching_files, rasters_in
from geoseg.run.scene_job import SceneJob
from geoseg.run.scene_list import DOCUMENT_SUFFIXES, LIST_SUFFIXES, listed_scenes
from geoseg.run.stac_source import RASTER_SUFFIXES, stac_scenes

__all__ = ["Manifest", "read_manifest"]

_WEB: Final = ("http", "https")
_BUCKETS: Final = ("s3", "gs", "az")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The scenes of a batch, in the order in which they are to be started."""

    jobs: tuple[SceneJob, ...]
    """One per scene; ``scene_id`` is empty where neither list nor STAC item gives one, until
    :func:`geoseg.run.scene_names.assign_ids` does."""
    roots: AllowedRoots
    """What ``--allow-root`` allows, for the workers to ask."""
    warnings: tuple[str, ...] = ()
    """What the user should know, a line each."""
    skipped_old: int = 0
    """Scenes that did not change since ``--since``."""


def read_manifest(
    options: BatchOptions,
    *,
    since: datetime | None = None,
    read_s3: Callable[[str], str] | None = None,
) -> Manifest:
    """Return the scenes that the sources of a batch name.

    Args:
        options: The sources, and what holds for all scenes.
        since: The moment that ``--since`` means; None for all scenes.
        read_s3: Reads a text object by its ``s3://`` address.

    Raises:
        OptionError: A source cannot be read or names what it must not; one scene is named
            twice with other options.
        SceneError: A source itself lies outside ``--allow-root``.
    """
    roots = allowed_roots(options.allow_roots)
    reader = _Reader(options, Documents(roots=roots, read_s3=read_s3))
    found: list[SceneJob] = []
    warnings: list[str] = []
    for source in options.sources:
        jobs = list(reader.scenes(source))
        if not jobs:
            warnings.append(f"{shown_address(source)} names no scene")
        found += jobs
    jobs, doubled = _once(found)
    if doubled:
        warnings.append(_doubled_text(doubled))
    dated = [_with_time(job) for job in jobs]
    new = [j for j in dated if since is None or j.changed is None or j.changed >= since]
    if since is not None and (undated := [j for j in new if j.changed is None]):
        warnings.append(_undated_text(undated))
    return Manifest(
        jobs=tuple(new),
        roots=roots,
        warnings=tuple(warnings),
        skipped_old=len(dated) - len(new),
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one source after the other."""

    options: BatchOptions
    documents: Documents

    def scenes(self, source: str) -> Iterator[SceneJob]:
        """Yield the scenes of one source of any kind."""
        if not source.strip() or "\0" in source:
            msg = f"{source!r} is no address of scenes"
            raise OptionError(msg)
        if not is_path(source):
            yield from self._remote(source)
        elif Path(source).is_dir() and suffix_of(source) not in {".zarr", ".safe"}:
            own = Path(absolute(self.options.out)) if is_path(self.options.out) else None
            yield from self._files(rasters_in(Path(absolute(source)), leave_out=own))
        elif is_glob(source):
            for file in matching_files(source):
                yield from self._named(file)
        else:
            yield from self._named(absolute(source))

    def _remote(self, source: str) -> Iterator[SceneJob]:
        scheme, suffix = scheme_of(source), suffix_of(source)
        if scheme in _BUCKETS and (source.endswith("/") or "*" in source):
            msg = f"{shown_address(source)} is a folder or pattern of an object store"
            raise OptionError(msg, hint="Name its scenes in a list or a STAC document.")
        is_unclear = scheme in _WEB and suffix not in {*RASTER_SUFFIXES, *DOCUMENT_SUFFIXES}
        if is_unclear and self.documents.is_json(source):
            yield from self._stac(source)
        else:
            yield from self._named(source)

    def _named(self, address: str) -> Iterator[SceneJob]:
        """Yield the scenes of a list or document, or the raster itself."""
        suffix = suffix_of(address)
        if suffix not in DOCUMENT_SUFFIXES:
            yield from self._files([address])
        elif suffix in LIST_SUFFIXES:
            yield from listed_scenes(address, self.documents, self.options.scene)
        else:
            yield from self._stac(address)

    def _stac(self, address: str) -> Iterator[SceneJob]:
        return stac_scenes(address, self.documents, self.options.scene, asset=self.options.asset)

    def _files(self, addresses: list[str]) -> Iterator[SceneJob]:
        for address in addresses:
            self.documents.roots.check(address)
            yield SceneJob(
                scene_id="", options=replace(self.options.scene, scene=address, out=None)
            )


def _once(jobs: list[SceneJob]) -> tuple[list[SceneJob], list[SceneJob]]:
    """Return the scenes without repetitions, and the repetitions.

    Raises:
        OptionError: A scene is named twice, not in the same way, and not under two names.
    """
    groups: dict[str, list[SceneJob]] = {}
    for job in jobs:
        groups.setdefault(shown_address(job.address), []).append(job)
    kept = {id(job) for group in groups.values() for job in _distinct(group)}
    return [j for j in jobs if id(j) in kept], [j for j in jobs if id(j) not in kept]


def _distinct(group: list[SceneJob]) -> list[SceneJob]:
    """Return what remains of scenes with one address, but for what signs it."""
    if len(group) == 1:
        return group
    # Under one name, another signature makes no other scene. A scene without a name is the
    # same as one that has a name, where all else agrees.
    named: dict[tuple[str, object], SceneJob] = {}
    for job in group:
        if job.scene_id:
            plain = replace(job.options, scene=shown_address(job.address))
            named.setdefault((job.scene_id, plain), job)
    known = {job.options for job in named.values()}
    nameless = {job.options: job for job in reversed(group) if not job.scene_id}
    rest = [job for options, job in nameless.items() if options not in known]
    if rest and len(rest) + len(named) > 1:
        msg = (
            f"{shown_address(group[0].address)} is named {len(group)} times, with other options "
            "or another query"
        )
        raise OptionError(msg, hint="Give each an id of its own in the column id of a CSV.")
    return [*named.values(), *rest]


def _doubled_text(doubled: list[SceneJob]) -> str:
    first = shown_address(doubled[0].address)
    if len(doubled) == 1:
        return f"{first} is named twice and mapped once"
    return f"{len(doubled)} scenes are named more than once and mapped once, {first} among them"


def _with_time(job: SceneJob) -> SceneJob:
    """Add the time of a local file where the source told none."""
    if job.changed is not None or not is_path(job.address):
        return job
    changed = changed_of(job.address)
    return job if changed is None else replace(job, changed=changed)


def _undated_text(undated: list[SceneJob]) -> str:
    first = shown_address(undated[0].address)
    what = "scene does" if len(undated) == 1 else "scenes do"
    return f"{len(undated)} {what} not tell when they changed, and --since takes them: {first}"
