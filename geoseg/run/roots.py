"""Which kind of place the root of a batch is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from geoseg.run.place import Root, SceneHome
from geoseg.run.store import write_atomically

__all__ = ["open_root"]


def open_root(text: str) -> Root:
    """Return the place of a batch.

    Args:
        text: A folder.
    """
    return _Folder(Path(text))


class _Folder:
    """A folder, for what is done without scenes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def address(self) -> str:
        return str(self._folder)

    def home(self, scene_id: str) -> SceneHome:
        raise NotImplementedError(scene_id)

    def finished(self, scene_ids: Iterable[str]) -> set[str]:
        return {i for i in scene_ids if (self._folder / i / "run.json").exists()}

    def read_text(self, name: str) -> str | None:
        try:
            return (self._folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def write_text(self, name: str, text: str) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)

    def names(self, prefix: str) -> list[str]:
        folder = self._folder / prefix
        return sorted(f"{prefix}/{p.name}" for p in folder.iterdir()) if folder.is_dir() else []

    def delete(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        yield
