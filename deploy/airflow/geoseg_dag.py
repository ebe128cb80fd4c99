"""A nightly batch as an Airflow DAG: map what is new, then tell about scenes that failed.

The exit codes of ``geoseg batch`` decide. 0 and 3, all scenes tried, let the DAG go on. 4, stopped
and resumable, and 1, no cluster, make Airflow try again, and the same command continues where it
stopped. Scenes that failed (3) are tried once more by a task of their own, which stays red as
long as some still fail; the maps of the others are there by then.

The command runs where Airflow's worker runs; with ``--scheduler slurm`` or an address the
blocks are computed elsewhere.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

SOURCES = "/srv/imagery/incoming"
MAPS = "/srv/maps"
MAP = f"""
geoseg batch {SOURCES} --out {MAPS} --since last --time-limit 3h --task-timeout 1h --json
code=$?
[ $code -eq 3 ] && exit 0    # the next task is about these scenes
exit $code
"""

with DAG(
    dag_id="geoseg_nightly",
    schedule="0 21 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,  # --since last knows what is new; past nights have nothing of their own
    max_active_runs=1,  # a second client on the same maps would be refused
) as dag:
    map_scenes = BashOperator(
        task_id="map_scenes",
        bash_command=MAP,
        append_env=True,
        retries=3,
        retry_delay=timedelta(minutes=5),
    )
    retry_failed = BashOperator(
        task_id="retry_failed",
        bash_command=f"geoseg batch retry {MAPS} --json",
        append_env=True,
        retries=0,
    )
    map_scenes >> retry_failed
