"""What ``benchmarks/scale.py`` measures, at a small scale, and what it computes."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("psutil")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from scaling.blocks import Load, Sample, Seen, run_null_batch
from scaling.paper import AREAS, MEASURED, Area, Cluster, carried_on

from geoseg.options import ClusterOptions
from geoseg.run.workers import connected

WORKERS = 8
MIB = 2**20


@pytest.fixture(scope="module")
def null_batch(tmp_path_factory: pytest.TempPathFactory) -> tuple[Seen, list[Sample]]:
    """Map 800 null blocks of two scenes on eight workers, with Dask's logs at their default."""
    load = Load(
        scenes=2, rows=20, cols=20, workers=WORKERS, processes=1, sleep_s=0.002, log_length=1000
    )
    return run_null_batch(load, tmp_path_factory.mktemp("null"))


@pytest.mark.network
def test_every_block_passed_the_cluster(null_batch: tuple[Seen, list[Sample]]) -> None:
    seen, samples = null_batch
    assert seen.blocks == samples[-1].blocks_done == 800
    # A plan, two parts or more, and a description besides the blocks of each scene.
    assert seen.graphs >= 800 + 2 * 3


@pytest.mark.network
def test_the_scheduler_knows_a_few_tasks_per_worker_at_a_time(
    null_batch: tuple[Seen, list[Sample]],
) -> None:
    seen, _ = null_batch
    assert seen.most_tasks_of_a_graph == 1
    assert WORKERS <= seen.most_tasks <= 3 * WORKERS
    assert seen.tasks_left == 0


@pytest.mark.network
def test_a_message_does_not_grow_with_the_scene(null_batch: tuple[Seen, list[Sample]]) -> None:
    seen, _ = null_batch
    assert seen.largest_message_bytes < MIB


@pytest.mark.network
def test_the_scheduler_forgets_finished_blocks(null_batch: tuple[Seen, list[Sample]]) -> None:
    # The plans of 800 blocks, unpacked, are 45 MiB: what it kept when tasks came as objects.
    _, samples = null_batch
    first = next(s for s in samples if s.blocks_done)
    assert samples[-1].scheduler_bytes - first.scheduler_bytes < 25 * MIB


def test_a_country_is_its_pixels() -> None:
    country = Area(name="x", km2=100, gsd_m=10, scene_mpx=1)
    found = carried_on(
        country, Cluster(cores=1), replace(MEASURED, mpx_per_core_s=1, block_mpx=0.5)
    )
    assert (found.mpx, found.scenes, found.blocks) == (1, 1, 2)
    assert found.hours == pytest.approx(1 / 3600)
    assert found.blocks_per_s == pytest.approx(2)


@pytest.mark.parametrize("area", AREAS)
def test_more_workers_save_time_and_no_money_until_the_scheduler_is_full(area: Area) -> None:
    few, many = (carried_on(area, Cluster(cores=cores)) for cores in (64, 6400))
    assert few.hours == pytest.approx(100 * many.hours)
    assert few.compute_price == pytest.approx(many.compute_price)
    assert few.scheduler_share < 1 < many.scheduler_share
    assert (few.gets, few.puts, few.lists) == (many.gets, many.puts, many.lists)


def test_cores_and_gpus_add_up() -> None:
    both = carried_on(AREAS[1], Cluster(cores=100, gpus=2))
    pace = 100 * MEASURED.mpx_per_core_s + 2 * MEASURED.mpx_per_gpu_s
    assert both.hours == pytest.approx(both.mpx / pace / 3600)
    price = 100 * MEASURED.core_hour_price + 2 * MEASURED.gpu_hour_price
    assert both.compute_price == pytest.approx(both.hours * price)


def test_larger_blocks_relieve_the_scheduler_and_the_store() -> None:
    now = carried_on(AREAS[1], Cluster(gpus=64))
    larger = carried_on(AREAS[1], Cluster(gpus=64), replace(MEASURED, block_mpx=64))
    assert larger.scheduler_share < now.scheduler_share / 10
    assert larger.puts < now.puts / 10
    assert larger.hours == now.hours


@pytest.mark.network
def test_a_scheduler_of_geoseg_keeps_few_messages() -> None:
    with connected(ClusterOptions(processes=1, threads=1)) as fleet:
        scheduler = fleet._client.cluster.scheduler
        logs = [comm.recent_message_log for comm in scheduler.stream_comms.values()]
        assert [log.maxlen for log in logs] == [10]
