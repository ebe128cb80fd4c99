"""Counters of a batch for Prometheus, as a file for node_exporter's text-file collector.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format, version 0.0.4;
https://github.com/prometheus/node_exporter#textfile-collector
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from geoseg.run.batch_facts import BatchFacts, sum_outcomes
from geoseg.run.batch_progress import Progress
from geoseg.run.moments import moment_of
from geoseg.run.store import write_atomically

__all__ = ["metrics_text", "write_metrics"]

_PREFIX: Final = "geoseg_batch_"


class _Metric(NamedTuple):
    name: str
    kind: Literal["counter", "gauge"]
    text: str
    samples: Sequence[tuple[Mapping[str, str], float]]


def metrics_text(facts: BatchFacts, progress: Progress | None, *, running: bool) -> str:
    """Return the text of the file.

    Every sample carries the label ``root``, so that one machine can run several batches, each
    with a file of its own.

    Args:
        facts: What is known of the batch.
        progress: Where the session stands.
        running: False in the text that a session leaves behind. A killed one leaves True:
            look at ``geoseg_batch_last_progress_timestamp_seconds``, too.
    """
    metrics = [
        *_of_scenes(facts),
        *_of_sessions(facts),
        *_of_progress(progress if running else None, facts.at, running=running),
    ]
    lines = [line for metric in metrics for line in _lines(metric, facts.address)]
    return "\n".join(lines) + "\n"


def write_metrics(path: Path, text: str) -> None:
    """Replace the file completely or not at all: a scrape never sees half of it.

    Raises:
        OutputError: It cannot be written.
    """
    write_atomically(path, text)


def _of_scenes(facts: BatchFacts) -> list[_Metric]:
    totals = sum_outcomes(facts.outcomes, facts.sessions)
    states = [({"state": state}, n) for state, n in totals.scenes.items()]
    classes = [({"class": name}, px) for name, px in totals.class_px]
    return [
        _Metric("scenes", "gauge", "Scenes of the batch by state.", states),
        _gauge("blocks", "Blocks of the scenes that are planned.", totals.blocks),
        _gauge("blocks_done", "Blocks that are done.", totals.blocks_done),
        _counter("pixels_total", "Pixels of finished scenes.", totals.output_px),
        _counter("valid_pixels_total", "Classified pixels of finished scenes.", totals.valid_px),
        _Metric("class_pixels_total", "counter", "Pixels by class.", classes),
        _counter("retries_total", "Blocks or steps that were tried again.", totals.retries),
        _counter("worker_seconds_total", "Seconds of all workers on blocks.", totals.worker_s),
    ]


def _of_sessions(facts: BatchFacts) -> list[_Metric]:
    ended = [(s, t) for s in facts.sessions if (t := moment_of(s.ended)) is not None]
    good = [t.timestamp() for s, t in ended if s.exit_reason == "done"]
    complete = [t.timestamp() for s, t in ended if s.is_complete]
    reasons = [({"reason": str(s.exit_reason)}, t.timestamp()) for s, t in ended[-1:]]
    return [
        _Metric("last_success_timestamp_seconds", "gauge",
                "End of the last session after which all scenes were done.",
                [({}, good[-1])] if good else []),
        _Metric("last_complete_timestamp_seconds", "gauge",
                "End of the last session that went through all scenes, failed ones included.",
                [({}, complete[-1])] if complete else []),
        _Metric("last_end_timestamp_seconds", "gauge",
                "End of the last session, and why it ended.", reasons),
    ]  # fmt: skip


def _of_progress(progress: Progress | None, at: str, *, running: bool) -> list[_Metric]:
    now = moment_of(at if progress is None else progress.at)
    found = [
        _gauge("running", "1 while a client works; 1 for ever after it was killed.", running),
        _Metric("last_progress_timestamp_seconds", "gauge", "When this was written.",
                [({}, now.timestamp())] if now else []),
    ]  # fmt: skip
    if progress is None:
        return found
    return [
        *found,
        _gauge("workers", "Workers of the cluster.", progress.workers),
        _gauge("blocks_in_flight", "Blocks that workers have.", progress.in_flight),
        _gauge("session_blocks_done", "Blocks that the session did.", progress.blocks_done),
        _gauge("session_pixels", "Pixels that the session did.", progress.px_done),
        _gauge("session_seconds", "Seconds since the session began.", progress.elapsed_s),
    ]


def _gauge(name: str, text: str, value: float) -> _Metric:
    return _Metric(name, "gauge", text, [({}, value)])


def _counter(name: str, text: str, value: float) -> _Metric:
    return _Metric(name, "counter", text, [({}, value)])


def _lines(metric: _Metric, root: str) -> Iterable[str]:
    if not metric.samples:
        return
    name = _PREFIX + metric.name
    yield f"# HELP {name} {metric.text}"
    yield f"# TYPE {name} {metric.kind}"
    for labels, value in metric.samples:
        pairs = ",".join(f'{k}="{_escaped(v)}"' for k, v in {"root": root, **labels}.items())
        # repr keeps every digit; True is 1, and whole numbers stay whole.
        yield f"{name}{{{pairs}}} {int(value) if value == int(value) else repr(value)}"


def _escaped(text: str) -> str:
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
