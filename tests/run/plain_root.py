"""A root that is a plain folder, and one that stops in the middle of things."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from geoseg.run.place import SceneHome
from geoseg.run.store import write_atomically


class PlainRoot:
    """As :class:`geoseg.run.place.Root`, without scenes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writes: list[str] = []

    @property
    def address(self) -> str:
        return str(self.folder)

    def home(self, scene_id: str) -> SceneHome:
        raise NotImplementedError

    def finished(self, scene_ids: Iterable[str]) -> set[str]:
        return {i for i in scene_ids if (self.folder / i / "run.json").exists()}

    def read_text(self, name: str) -> str | None:
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write_text(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
        self.writes.append(name)

    def names(self, prefix: str) -> list[str]:
        folder = self.folder / prefix
        return sorted(f"{prefix}/{p.name}" for p in folder.iterdir()) if folder.is_dir() else []

    def delete(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        yield


class KilledError(BaseException):
    """The process ends here."""


class MortalRoot(PlainRoot):
    """A root whose client is killed before its n-th change."""

    def __init__(self, folder: Path, changes: int) -> None:
        super().__init__(folder)
        self._left = changes

    def _change(self) -> None:
        if self._left == 0:
            raise KilledError
        self._left -= 1

    def write_text(self, name: str, text: str) -> None:
        self._change()
        super().write_text(name, text)

    def delete(self, name: str) -> None:
        self._change()
        super().delete(name)
