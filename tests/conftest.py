"""Profiles, models and scenes that several rooms' tests share."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # "from tests.fakes import ..." under a bare "pytest"

from geoseg.legend import Legend, LegendClass  # noqa: E402
from geoseg.model.card import BandScaling, ModelCard, NetworkSpec  # noqa: E402
from geoseg.model.predictor import Predictor  # noqa: E402
from tests.buckets import bucket, moto, proxy  # noqa: E402, F401 - fixtures
from tests.ceph import ceph  # noqa: E402, F401 - fixture
from tests.fakes import card_of, write_torch_model  # noqa: E402
from tests.postgis import database, server  # noqa: E402, F401 - fixtures
from tests.slurm import slurm  # noqa: E402, F401 - a fixture

_COMMON = {
    "deadline": None,  # shared machines: time is no property
    "database": None,  # nothing is left in the working copy
    "suppress_health_check": [
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
    ],
}
settings.register_profile("dev", max_examples=25, **_COMMON)
settings.register_profile("ci", max_examples=60, derandomize=True, **_COMMON)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

# A shell that starts the tests in the background makes them, and every command that they
# start, deaf to Ctrl-C, which some of them send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# So does nohup with the signal of a terminal that closes.
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def fake_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Return a function (predictor, card) -> model folder that loads that predictor."""
    from geoseg.model import torch_predictor
    from geoseg.run import engine

    loaded: dict[Path, Predictor] = {}

    def load(folder: Path, card: ModelCard, device: object) -> Predictor:
        return loaded[folder]

    def make(predictor: Predictor, card: ModelCard) -> str:
        folder = tmp_path / "fake models" / str(len(loaded))
        folder.mkdir(parents=True)
        (folder / "weights.bin").write_bytes(b"fake")
        card.write(folder)
        loaded[folder.resolve()] = predictor
        engine._models.clear()  # kept per digest, which fakes share
        return str(folder)

    def forget() -> None:
        for thread in threading.enumerate():  # of a run that ended before its model was there
            if thread.name == "geoseg-prepare":
                thread.join()
        engine._models.clear()

    monkeypatch.setattr(torch_predictor, "load_predictor", load)
    forget()
    yield make
    forget()


@pytest.fixture(scope="session")
def tiny_card() -> ModelCard:
    """Card of a real, tiny smp network: stride 8, three classes with scattered ids."""
    return card_of(
        name="tiny",
        title="A tiny network",
        network=NetworkSpec(
            architecture="unet",
            encoder="resnet18",
            arguments=(("decoder_channels", (32, 16, 8)), ("encoder_depth", 3)),
            n_outputs=3,
        ),
        bands=("red", "green", "blue"),
        scaling=tuple(BandScaling(offset=o, divisor=60.0) for o in (110.0, 120.0, 100.0)),
        legend=Legend(
            classes=(
                LegendClass(class_id=1, name="지붕", colour="#c02020"),
                LegendClass(class_id=2, name="road & yard", colour="#808080"),
                LegendClass(class_id=7, name="green", colour="#20c020"),
            )
        ),
        stride_px=8,
        halo_px=48,
        weights_file="model.safetensors",
        activation_bytes_per_px=900.0,
    )


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, tiny_card: ModelCard) -> Path:
    """Folder of the real, tiny network."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_torch_model(folder, tiny_card)
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real scenes, or a skip that says what is missing."""
    named = os.environ.get("GEOSEG_SHARED_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real scenes: set GEOSEG_SHARED_DATA to their folder")
    return folder


def pytest_configure(config: pytest.Config) -> None:
    """Except from "warnings are errors" what is not ours to mend."""
    for line in (
        # rasterio multiplies affine transforms the old way.
        "ignore:Use .@. matmul:PendingDeprecationWarning:rasterio",
        # geoseg.raster.env sets this at import, which pytest undoes for every test.
        "ignore::rasterio.errors.NotGeoreferencedWarning",
    ):
        config.addinivalue_line("filterwarnings", line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport]:
    """Let no test of a server be skipped where GEOSEG_REQUIRE_ALL=1 says that it must run."""
    report = yield
    required = os.environ.get("GEOSEG_REQUIRE_ALL") == "1" and not hasattr(report, "wasxfail")
    if required and report.skipped and item.get_closest_marker("network"):
        report.outcome = "failed"
        report.longrepr = f"GEOSEG_REQUIRE_ALL=1, but it was skipped: {report.longrepr}"
    return report


@pytest.fixture
def disk_of(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Return a function that gives a folder on a disk of so many KiB; needs the right to mount."""
    mounted: list[Path] = []

    def make(kib: int) -> Path:
        folder = tmp_path / f"small disk {len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)]
        if (
            shutil.which("mount") is None
            or subprocess.run(command, capture_output=True, check=False).returncode
        ):
            pytest.skip("a small disk cannot be mounted here")
        mounted.append(folder)
        return folder

    try:
        yield make
    finally:
        for folder in mounted:
            subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def full_disk(disk_of: Callable[[int], Path]) -> Path:
    """Folder of 256 KiB of its own."""
    return disk_of(256)
