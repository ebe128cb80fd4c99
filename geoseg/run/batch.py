"""Many scenes from top to bottom: list, lock, ledger, workers, reports."""

from __future__ import annotations

import json
import logging
import os
import platform
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from geoseg.errors import (
    BatchInterruptedError,
    ClusterError,
    GeosegError,
    OptionError,
    OutputError,
    ScenesFailedError,
)
from geoseg.model.registry import find_model
from geoseg.options import BatchOptions
from geoseg.redact import shown_address
from geoseg.run.batch_collection import collection_text
from geoseg.run.batch_driver import Counts, Driver, Limits
from geoseg.run.batch_facts import BatchFacts, count_states
from geoseg.run.batch_metrics import metrics_text, write_metrics
from geoseg.run.batch_page import page_text
from geoseg.run.batch_progress import Progress as SignOfLife
from geoseg.run.batch_progress import write_progress
from geoseg.run.batch_record import record_text
from geoseg.run.events import BatchFinished, BatchReady, Progress, SceneChanged, ScenesSoFar, Warned
from geoseg.run.fleet import Fleet, connected
from geoseg.run.job_file import changed_options, read_job, selection_digest, write_job
from geoseg.run.ledger import Ledger
from geoseg.run.manifest import Manifest, read_manifest
from geoseg.run.moments import moment_of, utc_text
from geoseg.run.place import Root
from geoseg.run.report import versions
from geoseg.run.roots import open_root
from geoseg.run.scene_job import SceneJob, SceneOutcome
from geoseg.run.scene_names import assign_ids
from geoseg.run.scene_tasks import WorkerFacts, worker_facts
from geoseg.run.scene_work import SceneWork, utc_now
from geoseg.run.sessions import ExitReason, Session, begin_session, end_session, last_start, read_sessions
from geoseg.version import __version__

__all__ = ["BatchResult", "retry_options", "run_batch"]
