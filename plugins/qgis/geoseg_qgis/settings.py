"""What the user chose once for all projects, and where the plugin keeps its own files."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from qgis.core import QgsApplication, QgsSettings

from .engine import Engine, checked_version, clean_environment, find_engine
from .environment import Network, venv_of
from .jobs import JobStore

__all__ = [
    "ON_CLOSE", "Settings", "data_folder", "engine_environment", "engine_folder", "engine_now",
    "job_store", "network", "plugin_folder", "program",
]  # fmt: skip

ON_CLOSE = ("stop", "continue")
"""What becomes of a running job when QGIS ends."""


class Settings:
    """The plugin's values in QGIS' settings."""

    NAMES = (
        "engine", "on_close", "batch_template", "batch_program", "scheduler", "package", "tool",
        "index",
    )  # fmt: skip
    _DEFAULTS = {  # noqa: RUF012 - never changed
        "on_close": "stop",
        "batch_program": "geoseg",
        "package": "geoseg",
        "tool": "pip",
    }

    def get(self, name: str) -> str:
        """Return a value, or its default."""
        return str(QgsSettings().value(f"geoseg/{name}", self._DEFAULTS.get(name, "")) or "")

    def set(self, name: str, value: str) -> None:
        """Keep a value."""
        QgsSettings().setValue(f"geoseg/{name}", value)


def plugin_folder() -> Path:
    """Return where the plugin's files are."""
    return Path(__file__).parent


def data_folder() -> Path:
    """Return the plugin's folder in the user's profile."""
    return Path(QgsApplication.qgisSettingsDirPath()) / "geoseg"


def engine_folder() -> Path:
    """Return where an environment of our own is, or would be."""
    return data_folder() / "engine"


def job_store() -> JobStore:
    """Return all jobs of this profile."""
    return JobStore(data_folder() / "jobs")


def program() -> Path:
    """Return the engine's executable, without asking it anything.

    Raises:
        EngineError: There is none.
    """
    return find_engine(
        Settings().get("engine"), venv_of(engine_folder()), os.environ.get("PATH", os.defpath)
    )


_checked: dict[tuple[str, float], Engine] = {}


def engine_now() -> Engine:
    """Return the engine after asking for its version; takes a moment the first time.

    For the threads of Processing; the panel asks without waiting.

    Raises:
        EngineError: There is none, or it is broken or too old.
    """
    import subprocess

    path = program()
    key = (str(path), path.stat().st_mtime)
    if key not in _checked:
        try:
            done = subprocess.run(  # noqa: S603 - the engine that the user chose
                [str(path), "--version"],
                env=engine_environment(path),
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
                timeout=120,
                check=False,
                creationflags=0x08000000 if os.name == "nt" else 0,
            )
            code, text = done.returncode, done.stdout or done.stderr
        except subprocess.TimeoutExpired:
            code, text = 1, "no answer in two minutes"
        except OSError as error:
            code, text = 1, error.strerror or str(error)
        _checked[key] = checked_version(path, code, text)
    return _checked[key]


def engine_environment(path: Path) -> dict[str, str]:
    """Return the environment that the engine is started in."""
    return clean_environment(os.environ, path)


def network() -> Network:
    """Return how QGIS reaches the network, for programs that know nothing of QGIS."""
    return Network(
        proxy=_proxy(), no_proxy=",".join(_without_proxy()), certificates=_certificates()
    )


def _proxy() -> str:
    settings = QgsSettings()
    if not settings.value("proxy/proxyEnabled", False, type=bool):
        return ""
    host, port = settings.value("proxy/proxyHost", ""), settings.value("proxy/proxyPort", "")
    kind = settings.value("proxy/proxyType", "")
    if not host or kind == "DefaultProxy":
        return ""
    user, password = (settings.value(f"proxy/proxy{x}", "") for x in ("User", "Password"))
    who = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    scheme = "socks5" if kind == "Socks5Proxy" else "http"
    return f"{scheme}://{who}{host}" + (f":{port}" if port else "")


def _without_proxy() -> list[str]:
    found = QgsSettings().value("proxy/noProxyUrls", []) or []
    urls = [found] if isinstance(found, str) else found
    return [url.split("://")[-1].rstrip("/") for url in urls]


def _certificates() -> str:
    """Write the certificates that QGIS trusts into a file, where the user added some."""
    manager = QgsApplication.authManager()
    if manager is None or not manager.databaseCAs():
        return os.environ.get("SSL_CERT_FILE", "") or os.environ.get("REQUESTS_CA_BUNDLE", "")
    path = data_folder() / "trusted-certificates.pem"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(manager.trustedCaCertsPemText()))
    return str(path)
