"""The panel: order a map, see it grow, look at the result, repeat what was done."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from qgis.core import Qgis
from qgis.gui import QgsDockWidget
from qgis.PyQt.QtWidgets import QPushButton, QTabWidget

from .asking import Ask, VersionCheck, later
from .cards import Card, read_card
from .engine import Engine, EngineError, Failure
from .engine_page import EnginePage
from .history import as_command
from .history_page import HistoryPage
from .jobs import Follower, Job, State
from .labels import in_panel_words
from .layers import add_results
from .map_page import MapPage
from .preview import Preview
from .report import run_page, seconds_text
from .result_page import ResultPage
from .runs import Run, Runs, finished_elsewhere
from .settings import job_store
from .text import tr
from .widgets import TextDialog

__all__ = ["GeosegDock"]

_LATER_MS = 400


class GeosegDock(QgsDockWidget):
    """Four pages, and what connects them."""

    def __init__(self, iface: Any) -> None:
        """Make the pages, look for the engine and for jobs of an earlier QGIS."""
        super().__init__("geoseg", iface.mainWindow())
        self.setObjectName("geosegDock")
        self._iface = iface
        self._current: Run | None = None
        self._preview: Preview | None = None
        self._layers: list[Any] = []
        self._left = False
        self.map_page = MapPage(iface)
        self.result_page = ResultPage()
        self.history_page = HistoryPage()
        self.engine_page = EnginePage()
        self.tabs = QTabWidget()
        self.tabs.addTab(self.map_page, tr("Map"))
        self.tabs.addTab(self.result_page, tr("Result"))
        self.tabs.addTab(self.history_page, tr("History"))
        self.tabs.addTab(self.engine_page, tr("Engine"))
        self.setWidget(self.tabs)
        self.setMinimumWidth(320)
        self.runs = Runs(self)
        self.check = VersionCheck(self)
        self.models = Ask(self)
        self._connect()
        self.map_page.take_active_layer()
        self.look_for_engine()
        for run in self.runs.find_again():
            self._take_over(run)

    def _connect(self) -> None:
        self.map_page.wanted.connect(self._start_run)
        self.map_page.stopped.connect(self._stop)
        self.map_page.failed.connect(self.tell)
        self.runs.changed.connect(self._changed)
        self.runs.ended.connect(self._ended)
        self.history_page.again.connect(self._again)
        self.history_page.show_result.connect(self._open_result)
        self.engine_page.changed.connect(self.look_for_engine)
        self.result_page.zoom.connect(self._zoom)
        self.check.found.connect(self._engine_found)
        self.check.failed.connect(self._engine_missing)
        self.models.answered.connect(self._models_known)
        self.models.failed.connect(self._engine_missing)

    # The engine ----------------------------------------------------------------------------

    def look_for_engine(self) -> None:
        """Ask the engine for its version, without waiting."""
        self.map_page.set_ready(False)
        self.check.start()

    def _engine_found(self, engine: Engine) -> None:
        self.engine_page.show_engine(engine)
        self.models.ask(["models", "list", "--json"])

    def _engine_missing(self, failure: Failure) -> None:
        self.engine_page.show_no_engine(failure)
        self.tabs.setCurrentWidget(self.engine_page)

    def _models_known(self, events: list[dict[str, Any]]) -> None:
        self.map_page.model.show_models(events[-1].get("models", []) if events else [])
        self.map_page.set_ready(True)

    # A run ---------------------------------------------------------------------------------

    def _start_run(self, values: dict[str, Any], facts: dict[str, Any], where: str) -> None:
        try:
            run = self.runs.start("run", values, title=facts["name"], where=where, facts=facts)
        except EngineError as error:
            self.tell(error.failure)
            return
        self._take_over(run)

    def _take_over(self, run: Run) -> None:
        """Show a run that goes on, a new one or one that was found again."""
        self._current = run
        self._keep_off()
        if run.job.command != "run" or run.job.where == "batch":
            return
        self.map_page.show_running(True)
        self.map_page.show_progress(0, run.progress.text)
        card = _card_of(run.job)
        scene, layer = str(run.job.values.get("SCENE", "")), str(run.job.facts.get("layer", ""))
        self._close_preview()
        self._preview = Preview(run.job.folder, scene, card, layer)
        for event in _earlier_blocks(run.job):
            self._preview.take(event)

    def _changed(self, run: Run, event: dict[str, Any]) -> None:
        if event.get("event") == "warning":
            message = str(event.get("message"))
            self._iface.messageBar().pushMessage("geoseg", message, Qgis.MessageLevel.Warning, 10)
        if run is not self._current:
            return
        self.map_page.show_progress(run.progress.share, run.progress.text)
        if self._preview is not None:
            self._preview.take(event)

    def _stop(self) -> None:
        if self._current is not None:
            self.map_page.show_progress(self._current.progress.share, tr("Stopping ..."))
            self.runs.stop(self._current)

    def _ended(self, run: Run, failure: Failure | None) -> None:
        self._keep_off()
        if run is self._current:
            self._current = None
            self.map_page.show_running(False)
            self._close_preview()
        if failure is not None:
            self.tell(failure, run)
        elif run.job.state == State.SUBMITTED:
            text = tr("{title} was handed to the batch system; its map opens when it is there.")
            self._say(text.format(title=run.job.title))
        elif run.job.command == "run":
            self._show_result(run.job, run.finished, run.progress.plan)
        self.history_page.refresh()

    def _keep_off(self) -> None:
        self.map_page.keep_off({run.job.out: True for run in self.runs.active.values()})

    def _close_preview(self) -> None:
        if self._preview is not None:
            self._preview.close()
            self._preview = None

    # Results -------------------------------------------------------------------------------

    def _show_result(self, job: Job, finished: dict[str, Any], plan: dict[str, Any]) -> None:
        files = {k: v for k, v in finished.get("files", {}).items() if Path(v).exists()}
        if "classes" not in files:
            self.tell(Failure(tr("The map of {title} is not there").format(title=job.title)))
            return
        self._layers = add_results(
            files, f"{job.title} - geoseg", beside=job.facts.get("layer", "")
        )
        card = _card_of(job)
        colours = card.colours() if card is not None else {}
        report = Path(files.get("report") or job.folder / "report.html")
        if "report" not in files:
            page = run_page(
                finished, title=job.title, command=as_command(job), colours=colours, plan=plan
            )
            with suppress(OSError):  # a full disk takes the page away, not the map
                report.write_text(page, encoding="utf-8")
        self.result_page.show_result(job.title, finished, colours, report)
        self.tabs.setCurrentWidget(self.result_page)
        took = seconds_text(float(finished.get("elapsed_s") or 0))
        self._say(tr("{title} is mapped, in {time}.").format(title=job.title, time=took))

    def _open_result(self, job: Job) -> None:
        """Open a map of the history."""
        finished = _last_event(job) or finished_elsewhere(job)
        if finished is None:
            self.tell(Failure(tr("The map of {title} is not there").format(title=job.title)))
            return
        self._show_result(job, finished, {})

    def _zoom(self) -> None:
        for layer in self._layers[-1:]:
            with suppress(RuntimeError):  # the user may have removed it
                self._iface.setActiveLayer(layer)
                self._iface.zoomToActiveLayer()

    def _again(self, job: Job) -> None:
        """Run a job of the history once more, with exactly its parameters."""
        if self._current is not None:
            self.tell(Failure(tr("A run is going on"), tr("Wait for it, or stop it first.")))
            return
        if not job.arguments or job.folder.name in self.runs.active or job.is_running():
            self.tell(
                Failure(
                    tr("{title} cannot be run again now").format(title=job.title),
                    tr("Wait until it has ended, or begin anew on the Map page."),
                )
            )
            return
        values = dict(job.values)
        if job.command == "run" and job.state == State.DONE:
            values["OVERWRITE"] = True
        try:
            run = self.runs.start(
                job.command, values, title=job.title, where=job.where, facts=job.facts
            )
        except EngineError as error:
            self.tell(error.failure)
            return
        self._take_over(run)
        self.tabs.setCurrentWidget(self.map_page)

    # Messages ------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        # A moment later, so that it lies above what QGIS says of the task.
        later(self, _LATER_MS, lambda: self._push(text))

    def _push(self, text: str) -> None:
        if not self._left:
            bar = self._iface.messageBar()
            bar.pushMessage("geoseg", text, Qgis.MessageLevel.Success, 8)

    def tell(self, failure: Failure, run: Run | None = None) -> None:
        """Show a failure in the message bar: one sentence, the advice, and the way to the log."""
        bar = self._iface.messageBar()
        stopped = run is not None and run.job.state == State.STOPPED
        level = Qgis.MessageLevel.Info if stopped else Qgis.MessageLevel.Critical
        text = str(failure)
        if run is not None and run.job.command == "run":
            text = in_panel_words(text, str(run.job.values.get("SCENE", "")))
        item = bar.createMessage("geoseg", text)
        if run is not None:
            button = QPushButton(tr("Show log"))
            button.clicked.connect(lambda: self._show_log(run))
            item.layout().addWidget(button)
        bar.pushWidget(item, level, 0)

    def _show_log(self, run: Run) -> None:
        text = f"$ {as_command(run.job)}\n{run.follower.messages()}"
        TextDialog(tr("Log of {title}").format(title=run.job.title), text, self).show()

    def leave(self) -> None:
        """QGIS ends, or the plugin is taken away; a second time is none."""
        if self._left:
            return
        self._left = True
        self._close_preview()
        self.runs.leave()
        self.models.cancel()
        self.map_page.leave()
        self.engine_page.leave()


def _card_of(job: Job) -> Card | None:
    folder = str(job.facts.get("model_folder") or "")
    try:
        return read_card(Path(folder)) if folder else None
    except EngineError:
        return None


def _last_event(job: Job) -> dict[str, Any] | None:
    follower = Follower(job)
    events = [e for e in follower.poll() if e.get("event") == "finished"]
    return events[-1] if events else None


def _earlier_blocks(job: Job) -> list[dict[str, Any]]:
    """Return the blocks that an interrupted run of the same result finished."""
    earlier = [other for other in job_store().all() if other.out == job.out and other != job]
    events = [event for other in earlier for event in Follower(other).poll()]
    return [e for e in events if e.get("piece") and Path(e["piece"]).exists()]
