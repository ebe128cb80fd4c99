"""One scene: plan, blocks, run store, report, pipeline.

``geoseg.run(...)`` is a function until something of this package is imported; from then
on Python makes ``geoseg.run`` the name of the package. So the package can be called too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geoseg.run.pipeline import RunResult

# The function, which the name stands for until this import is over.
_run_scene: Callable[..., RunResult] = vars(sys.modules["geoseg"])["run"]


class _CallablePackage(ModuleType):
    """The package, called like ``geoseg.run``."""

    def __call__(self, scene: str, **options: Any) -> RunResult:  # noqa: ANN401 - passed on
        """Map one scene; see ``geoseg.run``."""
        return _run_scene(scene, **options)


sys.modules[__name__].__class__ = _CallablePackage
