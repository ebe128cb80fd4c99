"""Devices as the doctor tells them: those that are there, and why others are not."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from geoseg.model import probe


def by_name():
    return {d.name: d for d in probe.probe_devices()}


def test_the_cpu_is_always_there():
    cpu = by_name()["cpu"]
    assert cpu.available
    assert cpu.cores >= 1
    assert cpu.bf16 in {True, False}
    assert cpu.description


def test_gpus_are_told_with_memory_and_capability(monkeypatch):
    fake = SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 2,
        mem_get_info=lambda index: (index * 10, 80),
        get_device_capability=lambda _: (9, 0),
        get_device_name=lambda index: f"Big GPU {index}",
    )
    monkeypatch.setattr(torch, "cuda", fake)
    found = by_name()["cuda:1"]
    assert (found.memory_bytes, found.free_bytes, found.bf16) == (80, 10, True)
    assert found.description.startswith("Big GPU 1, compute capability 9.0, CUDA ")


@pytest.mark.parametrize(
    ("built_for", "complaint", "driver", "words"),
    [
        (None, None, False, "this build of torch has no CUDA"),
        ("13.0", "The NVIDIA driver is\n too old", True, "The NVIDIA driver is too old"),
        ("13.0", None, False, "there is no NVIDIA driver here"),
        ("13.0", None, True, "the driver shows no GPU"),
    ],
)
def test_a_missing_gpu_has_a_reason(monkeypatch, built_for, complaint, driver, words):
    def is_available():
        if complaint:
            warnings.warn(complaint, stacklevel=1)
        return False

    real = Path.exists
    monkeypatch.setattr(Path, "exists", lambda p: driver if str(p) == "/dev/nvidiactl" else real(p))
    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    monkeypatch.setattr(torch.version, "cuda", built_for)
    found = by_name()["cuda"]
    assert not found.available
    assert words in found.description


@pytest.mark.parametrize(
    ("built", "available", "words"),
    [
        (False, False, "Apple GPUs only"),
        (True, False, "has none"),
        (True, True, "Apple GPU, macOS"),
    ],
)
def test_apple_gpus(monkeypatch, built, available, words):
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: built)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: available)
    found = by_name()["mps"]
    assert (found.available, words in found.description) == (available, True)
