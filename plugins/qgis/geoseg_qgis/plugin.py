"""What QGIS sees of the plugin: one button, and algorithms; the rest comes when asked for."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication, QgsSettings
from qgis.PyQt.QtCore import QCoreApplication, QLocale, Qt, QTranslator
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction

from . import text
from .settings import plugin_folder
from .text import tr

__all__ = ["GeosegPlugin"]


class GeosegPlugin:
    """The plugin, with and without a desktop."""

    def __init__(self, iface: Any) -> None:
        """Remember QGIS.

        Args:
            iface: QGIS' interface; None in ``qgis_process``.
        """
        self.iface = iface
        self.provider: Any = None
        self.dock: Any = None
        self.action: QAction | None = None
        self._translator: QTranslator | None = None

    def initProcessing(self) -> None:
        """Add the algorithms; all that ``qgis_process`` asks for."""
        self._translate()
        from .provider import GeosegProvider

        self.provider = GeosegProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:
        """Add the button and the algorithms."""
        self.initProcessing()
        icon = QIcon(str(plugin_folder() / "resources" / "icon.svg"))
        self.action = QAction(icon, tr("geoseg: land-cover map"), self.iface.mainWindow())
        self.action.setObjectName("geosegAction")
        self.action.setCheckable(True)
        self.action.toggled.connect(self.show_panel)
        self.iface.addRasterToolBarIcon(self.action)
        self.iface.addPluginToRasterMenu("geoseg", self.action)

    def show_panel(self, visible: bool = True) -> None:
        """Open or close the panel; it is made when it is first opened."""
        if self.dock is None:
            if not visible:
                return
            from .dock import GeosegDock

            self.dock = GeosegDock(self.iface)
            self.dock.visibilityChanged.connect(self._follow_visibility)
            self.iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        self.dock.setVisible(visible)

    def _follow_visibility(self, visible: bool) -> None:
        # A panel behind another tab is not visible, but open.
        if self.action is not None and not visible and self.dock and self.dock.isHidden():
            self.action.setChecked(False)

    def unload(self) -> None:
        """Take everything away again; running jobs end or go on, as the user chose."""
        if self.dock is not None:
            self.dock.leave()
            self.iface.removeDockWidget(self.dock)
            self.dock.deleteLater()
            self.dock = None
        if self.action is not None:
            self.iface.removeRasterToolBarIcon(self.action)
            self.iface.removePluginRasterMenu("geoseg", self.action)
            self.action = None
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None

    def _translate(self) -> None:
        """Load the texts of the user's language, where there are any."""
        if self._translator is not None:
            return
        settings = QgsSettings()
        override = settings.value("locale/overrideFlag", False, type=bool)
        chosen = settings.value("locale/userLocale", "") if override else ""
        language = (chosen or QLocale.system().name())[:2]
        file = plugin_folder() / "i18n" / f"geoseg_{language}.qm"
        self._translator = QTranslator()
        if file.is_file() and self._translator.load(str(file)):
            QCoreApplication.installTranslator(self._translator)
            text.install(QCoreApplication.translate)
