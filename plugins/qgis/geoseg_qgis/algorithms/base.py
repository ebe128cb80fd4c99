"""An algorithm that is a command of the engine: same names, same defaults, same results.

Parameters are made from the command's own options (see :mod:`..options`). A subclass says
which of them are layers, folders or CRSs, which stand in the front row, and what comes out.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtGui import QIcon

from .. import child
from ..engine import EngineError, quoted
from ..jobs import Follower, Job, State
from ..labels import help_of, label
from ..options import Command, Option, command_line, load_command
from ..progress import Progress
from ..settings import engine_environment, engine_now, job_store, plugin_folder
from ..text import tr

__all__ = ["EngineAlgorithm", "crs_text", "folder_of"]

_POLL_S = 0.1
_PATIENCE_S = 30.0
"""How long an engine may take to stop before it is ended."""
_ADVANCED = QgsProcessingParameterDefinition.Flag.FlagAdvanced


class EngineAlgorithm(QgsProcessingAlgorithm):
    """Base of all algorithms."""

    command: ClassVar[str] = ""
    """Command of the engine."""
    front: ClassVar[tuple[str, ...]] = ()
    """Parameters that are not folded away."""

    # What a subclass gives -----------------------------------------------------------------

    def title(self) -> str:
        """Return the name in the toolbox."""
        raise NotImplementedError

    def summary(self) -> str:
        """Return two or three sentences for the dialog's right side."""
        raise NotImplementedError

    def typed(self, name: str) -> QgsProcessingParameterDefinition | None:
        """Return the parameter of an argument or option that is no plain value."""
        raise NotImplementedError

    def extra(self) -> list[QgsProcessingParameterDefinition]:
        """Return parameters that the command does not have."""
        return []

    def value_of(
        self, name: str, parameters: dict[str, Any], context: QgsProcessingContext, folder: Path
    ) -> Any:
        """Return the command line's value of a typed parameter."""
        raise NotImplementedError

    def results(
        self, events: list[dict[str, Any]], values: dict[str, Any], context: QgsProcessingContext
    ) -> dict[str, Any]:
        """Return the outputs of a call that succeeded."""
        raise NotImplementedError

    # What QGIS asks for --------------------------------------------------------------------

    def createInstance(self) -> EngineAlgorithm:
        """Return a fresh copy."""
        return type(self)()

    def displayName(self) -> str:
        """Return the name in the toolbox."""
        return self.title()

    def shortHelpString(self) -> str:
        """Return what the dialog shows beside the parameters."""
        line = f"<p><code>geoseg {self.command} --help</code></p>"
        return f"<p>{self.summary()}</p>{line}"

    def helpUrl(self) -> str:
        """Return the page of help that comes with the plugin."""
        return (plugin_folder() / "help" / tr("index.html")).as_uri()

    def icon(self) -> QIcon:
        """Return the plugin's icon."""
        return QIcon(str(plugin_folder() / "resources" / "icon.svg"))

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Declare parameters and outputs."""
        command = load_command(self.command)
        found = {a.name: _required(self.typed(a.name)) for a in command.arguments}
        for option in command.options:
            definition = self.typed(option.name) or _plain(option, self.command)
            definition.setHelp(help_of(option.help))
            if option.name not in self.front:
                definition.setFlags(definition.flags() | _ADVANCED)
            found[option.name] = definition
        found.update({definition.name(): definition for definition in self.extra()})
        for name in _in_order(command, self.front, list(found)):
            self.addParameter(found[name])
        self.declare_outputs()

    def declare_outputs(self) -> None:
        """Declare outputs that are no parameters."""

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Call the engine and follow it."""
        try:
            engine = engine_now()
            store = job_store()
            job = store.create(
                self.command,
                {},
                [],
                program=str(engine.program),
                title=self.title(),
                where="processing",
            )
            try:
                values = self._values(parameters, context, job.folder)
                line = command_line(self.command, values)
            except Exception:
                # Nothing was called: there is nothing to repeat.
                store.remove(job)
                raise
            job = store.save(
                replace(
                    job, values=_jsonable(values), arguments=line, title=self._job_title(values)
                )
            )
            feedback.pushInfo(f"geoseg {engine.version}: {quoted(['geoseg', *line])}")
            events = self._follow(job, feedback)
            return self.results(events, values, context)
        except EngineError as error:
            raise QgsProcessingException(str(error.failure)) from error

    def _job_title(self, values: dict[str, Any]) -> str:
        first = next(iter(values.values()), "")
        first = first[0] if isinstance(first, list) and first else first
        return f"{self.title()}: {Path(str(first)).stem}"

    def _values(
        self, parameters: dict[str, Any], context: QgsProcessingContext, folder: Path
    ) -> dict[str, Any]:
        command = load_command(self.command)
        values = {
            argument.name: self.value_of(argument.name, parameters, context, folder)
            for argument in command.arguments
        }
        for option in command.options:
            if self.typed(option.name) is not None:
                values[option.name] = self.value_of(option.name, parameters, context, folder)
            else:
                values[option.name] = self._plain_value(option, parameters, context)
        return values

    def _plain_value(
        self, option: Option, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> Any:
        name = option.name
        if option.kind == "flag":
            return self.parameterAsBool(parameters, name, context)
        if option.kind == "choice":
            if option.multiple:
                return [c for c in self.parameterAsEnumStrings(parameters, name, context) if c]
            return self.parameterAsEnumString(parameters, name, context)
        given = parameters.get(name)
        if given in (None, NULL, ""):
            return option.default
        if option.kind == "integer":
            return self.parameterAsInt(parameters, name, context)
        if option.kind == "number":
            return self.parameterAsDouble(parameters, name, context)
        return self.parameterAsString(parameters, name, context)

    # Following -----------------------------------------------------------------------------

    def _follow(self, job: Job, feedback: QgsProcessingFeedback) -> list[dict[str, Any]]:
        """Start the engine, hand on what it tells, stop it where the user wants that."""
        store, path = job_store(), Path(job.program)
        running = child.start(
            [job.program, "--stop-at-eof", *job.arguments, "--json"],
            engine_environment(path),
            out=job.events,
            errors=job.log,
            folder=job.folder,
            tied=True,
        )
        job = store.started(job, running.mark)
        follower, progress = Follower(job, running), Progress()
        events, asked, kill_at = [], False, math.inf
        while True:
            over = follower.is_over()
            for event in follower.poll():
                events.append(event)
                _hand_on(event, progress, feedback)
            if over:
                break
            if feedback.isCanceled() and not asked:
                asked, kill_at = True, time.monotonic() + _PATIENCE_S
                child.stop(job.mark, running)
            if time.monotonic() > kill_at:
                child.stop(job.mark, running, kill=True)
            time.sleep(_POLL_S)
        return self._judged(job, follower, events, feedback)

    def _judged(
        self,
        job: Job,
        follower: Follower,
        events: list[dict[str, Any]],
        feedback: QgsProcessingFeedback,
    ) -> list[dict[str, Any]]:
        state, failure = follower.verdict()
        job_store().ended(job, state)
        if state == State.DONE or failure is None:
            for line in follower.messages().splitlines():
                feedback.pushConsoleInfo(line)
            return events
        raise QgsProcessingException(str(failure))


def _hand_on(event: dict[str, Any], progress: Progress, feedback: QgsProcessingFeedback) -> None:
    if event.get("event") == "warning":
        feedback.pushWarning(str(event.get("message")))
    if progress.take(event):
        feedback.setProgress(100 * progress.share)
        feedback.setProgressText(progress.text)


def _required(
    definition: QgsProcessingParameterDefinition | None,
) -> QgsProcessingParameterDefinition:
    if definition is None:
        msg = "every argument needs a typed parameter"
        raise TypeError(msg)
    return definition


def _in_order(command: Command, front: tuple[str, ...], names: list[str]) -> list[str]:
    """Return the names in the order of the dialog: arguments, the front row, all others."""
    arguments = [argument.name for argument in command.arguments]
    order = [*arguments, *front, *(n for n in names if n not in front and n not in arguments)]
    # The folder comes last, where every dialog of Processing has it.
    return [*(n for n in order if n != "OUT"), *(n for n in order if n == "OUT")]


def _plain(option: Option, command: str) -> QgsProcessingParameterDefinition:
    """Return the parameter of an option that is a number, a text, a switch or a choice."""
    name, text, default = option.name, label(option.name, command), option.default
    optional = default is None and not option.required
    if option.kind == "flag":
        return QgsProcessingParameterBoolean(name, text, defaultValue=default)
    if option.kind == "choice":
        return QgsProcessingParameterEnum(
            name, text, options=list(option.choices), allowMultiple=option.multiple,
            defaultValue=default, optional=optional, usesStaticStrings=True,
        )  # fmt: skip
    if option.kind in {"integer", "number"}:
        kinds = QgsProcessingParameterNumber.Type
        number = QgsProcessingParameterNumber(
            name, text, type=kinds.Integer if option.kind == "integer" else kinds.Double,
            defaultValue=default, optional=optional,
        )  # fmt: skip
        if option.least is not None:
            number.setMinimum(option.least)
        return number
    return QgsProcessingParameterString(name, text, defaultValue=default, optional=optional)


def crs_text(crs: QgsCoordinateReferenceSystem) -> str | None:
    """Return a CRS as the command line takes it; None for none."""
    if not crs.isValid():
        return None
    return crs.authid() or crs.toWkt()


def folder_of(path: str) -> str:
    """Return a path that holds in the engine's folder too."""
    return str(Path(path).absolute()) if path else path


def _jsonable(values: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if v not in (None, "", [])}
