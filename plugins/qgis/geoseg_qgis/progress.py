"""How far a job is, from its events. Nothing here knows QGIS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .report import pixels_text, seconds_text
from .text import tr

__all__ = ["Progress"]

_BLOCKS_SHARE = 0.9
"""Part of a run's time that its blocks take; the rest is polygons and files."""


class Progress:
    """Turns events into a share of the work and a line for people."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.share = 0.0
        """Part that is done, 0 to 1."""
        self.text = tr("Starting the engine")
        """What happens now."""
        self.plan: dict[str, Any] = {}
        """The event that began the run."""
        self._first: tuple[float, int] | None = None

    def take(self, event: Mapping[str, Any]) -> bool:
        """Look at an event; tell whether it changed what is shown."""
        handler = {
            "plan": self._plan, "vectorise": self._plan, "block": self._block,
            "stage": self._stage, "ground": self._ground, "batch": self._batch,
            "look": self._look, "finished": self._end, "trained": self._end,
            "evaluation": self._end,
        }.get(str(event.get("event")))  # fmt: skip
        if handler is None:
            return False
        handler(event)
        return True

    def _plan(self, event: Mapping[str, Any]) -> None:
        self.plan = dict(event)
        done, blocks = int(event["blocks_done"]), int(event["blocks"])
        self.share = _BLOCKS_SHARE * done / max(blocks, 1)
        self.text = tr("{done} of {blocks} blocks").format(done=done, blocks=blocks)
        if done:
            self.text = tr("Going on: {text}").format(text=self.text)

    def _block(self, event: Mapping[str, Any]) -> None:
        done, blocks = int(event["blocks_done"]), int(event["blocks"])
        self.share = _BLOCKS_SHARE * done / max(blocks, 1)
        self.text = tr("{done} of {blocks} blocks").format(done=done, blocks=blocks)
        elapsed, px = float(event["elapsed_s"]), int(event["px_done"])
        if self._first is None:
            self._first = (elapsed, px)
            return
        seconds, fresh = elapsed - self._first[0], px - self._first[1]
        if seconds > 1 and fresh > 0:
            left = (int(event["output_px"]) - px) * seconds / fresh
            self.text += ", " + tr("{speed}/s, {time} left").format(
                speed=pixels_text(fresh / seconds), time=seconds_text(left)
            )

    def _stage(self, event: Mapping[str, Any]) -> None:
        names = {
            "polygons": (tr("Writing polygons"), 0.91),
            "sieve": (tr("Joining small regions"), 0.91),
            "mosaic": (tr("Writing rasters"), 0.96),
            "metadata": (tr("Writing metadata"), 0.99),
            "calibration": (tr("Calibrating"), 0.95),
            "model": (tr("Measuring the model"), 0.97),
        }
        stage = str(event["stage"])
        self.text, share = names.get(stage, (stage, self.share))
        self.share = max(self.share, share)

    def _ground(self, event: Mapping[str, Any]) -> None:
        done, blocks = int(event["blocks_done"]), int(event["blocks"])
        self.share = 0.05 * done / max(blocks, 1)
        self.text = tr("Reading labels: {done} of {blocks} blocks").format(done=done, blocks=blocks)

    def _batch(self, event: Mapping[str, Any]) -> None:
        step, steps = int(event["step"]), int(event["steps"])
        self.share = 0.05 + 0.9 * step / max(steps, 1)
        self.text = tr("Batch {step} of {steps}, loss {loss}").format(
            step=step, steps=steps, loss=f"{float(event['loss']):.3f}"
        )

    def _look(self, event: Mapping[str, Any]) -> None:
        self.text = tr("Batch {step}: mean IoU {iou} on validation ground").format(
            step=event["step"], iou=f"{float(event['mean_iou']):.3f}"
        )

    def _end(self, _event: Mapping[str, Any]) -> None:
        self.share, self.text = 1.0, tr("Done")
