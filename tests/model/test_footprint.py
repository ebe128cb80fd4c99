"""Memory of a pass is what the pass takes, whatever the process held before."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from geoseg.memory import peak_memory_bytes
from geoseg.model import footprint


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets a peak")
def test_a_peak_of_loading_does_not_hide_that_of_the_pass():
    held = np.ones(200 << 20, np.uint8)
    high = peak_memory_bytes()
    del held
    footprint._forget_peak()
    low = peak_memory_bytes()
    assert low < high - (150 << 20)
    held = np.ones(100 << 20, np.uint8)
    assert peak_memory_bytes() - low == pytest.approx(held.size, rel=0.1)
