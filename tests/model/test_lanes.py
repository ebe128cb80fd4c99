"""Batches side by side on a device, and one by one where it has no memory for two."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from geoseg.errors import OutOfDeviceMemoryError
from geoseg.model.card import ModelCard
from geoseg.model.device import Device
from geoseg.model.lanes import Lanes, lanes_of
from geoseg.model.torch_predictor import TorchPredictor

CPU = Device(name="cpu", precision="fp32")
PIXELS = np.zeros((2, 3, 32, 32), np.uint8)
PATIENCE_S = 30.0


@dataclass
class Crowd:
    """Counts who is inside at once."""

    guard: threading.Lock = field(default_factory=threading.Lock)
    inside: int = 0
    most: int = 0

    def __enter__(self) -> int:
        with self.guard:
            self.inside += 1
            self.most = max(self.most, self.inside)
            return self.inside

    def __exit__(self, *_: object) -> None:
        with self.guard:
            self.inside -= 1


def most_at_once(lanes: Lanes, threads: int, meet: int) -> int:
    """Send threads through; the first ``meet`` of them wait for each other inside."""
    crowd, together = Crowd(), threading.Barrier(meet)
    ticket = iter(range(threads))

    def go(_: int) -> None:
        with lanes.take(), crowd:
            if next(ticket) < meet:
                together.wait(PATIENCE_S)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(go, range(threads)))
    return crowd.most


def test_as_many_go_through_as_there_are_lanes() -> None:
    assert most_at_once(Lanes((None, None)), threads=8, meet=2) == 2


def test_the_cpu_has_no_limit_and_other_devices_one_lane() -> None:
    assert most_at_once(lanes_of(torch.device("cpu")), threads=5, meet=5) == 5
    assert lanes_of(torch.device("mps")).count == 1


def test_without_a_stream_cuda_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside MPS there is none, and torch.cuda.stream(None) fails."""

    def refuse(_: object) -> None:
        raise AttributeError

    monkeypatch.setattr(torch.cuda, "stream", refuse)
    with lanes_of(torch.device("mps")).take():
        pass


def test_a_lane_is_free_again_after_an_error() -> None:
    lanes = Lanes((None,))
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"), lanes.take():
            raise ValueError("broken")


def test_narrowed_by_several_at_once_one_lane_is_left() -> None:
    lanes = Lanes((None, None, None))
    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(lanes.narrow) for _ in range(6)]:
            done.result(PATIENCE_S)
    assert lanes.count == 1
    assert most_at_once(lanes, threads=4, meet=1) == 1


class Small(torch.nn.Module):
    """A device that holds one batch: out of memory while another one is inside."""

    def __init__(self) -> None:
        super().__init__()
        self.crowd = Crowd()
        self.meeting = threading.Barrier(2)
        self.first_two = iter(range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with self.crowd as inside:
            beside = inside > 1
            if next(self.first_two, None) is not None:
                self.meeting.wait(PATIENCE_S)
                beside = True
            if beside:
                msg = "CUDA out of memory"
                raise torch.OutOfMemoryError(msg)
            return x[:, :3] * 1.0


def test_what_does_not_fit_beside_another_batch_is_done_alone(tiny_card: ModelCard) -> None:
    lanes = Lanes((None, None))
    predictor = TorchPredictor(Small(), tiny_card, CPU, lanes=lanes)
    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(predictor.labels, PIXELS, 0) for _ in range(2)]
        shapes = [each.result(PATIENCE_S).channel.shape for each in found]
    assert shapes == [(2, 32, 32)] * 2
    assert lanes.count == 1


def test_what_does_not_fit_alone_is_told_at_once(tiny_card: ModelCard) -> None:
    calls = []

    class Full(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            calls.append(x.shape)
            raise torch.OutOfMemoryError

    lanes = Lanes((None, None))
    predictor = TorchPredictor(Full(), tiny_card, CPU, lanes=lanes)
    with pytest.raises(OutOfDeviceMemoryError):
        predictor.scores(PIXELS)
    assert (len(calls), lanes.count) == (2, 1)
    with pytest.raises(OutOfDeviceMemoryError):
        predictor.scores(PIXELS)
    assert len(calls) == 3
