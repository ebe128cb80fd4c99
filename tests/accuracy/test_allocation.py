"""How many points a class gets, and which pixels are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.accuracy.allocation import allocate, needed_points, pixel_ranks
from geoseg.errors import OptionError


def test_the_papers_sample_size() -> None:
    """Olofsson et al. 2014, section 5.1.1, has 641 with accuracies of 0.6 to 0.95 per class."""
    strata = np.array([200_000, 150_000, 3_200_000, 6_450_000])
    assert needed_points(strata, 0.5, 0.02) == 625
    assert needed_points(strata, 0.9, 0.01) == 900


def test_rare_classes_get_the_least_and_the_rest_goes_by_area() -> None:
    strata = np.array([200_000, 150_000, 3_200_000, 6_450_000])
    points = allocate(strata, 640, 75)
    assert points[:2].tolist() == [75, 75]
    assert points.sum() == 640
    assert points[3] / points[2] == pytest.approx(6_450_000 / 3_200_000, rel=0.01)


@given(
    strata=st.lists(st.integers(0, 10_000), min_size=1, max_size=8),
    points=st.integers(1, 2000),
    least=st.integers(0, 100),
)
def test_any_allocation(strata: list[int], points: int, least: int) -> None:
    sizes = np.array(strata)
    floor = np.minimum(sizes, least)
    if floor.sum() > points:
        with pytest.raises(OptionError, match="not enough"):
            allocate(sizes, points, least)
        return
    found = allocate(sizes, points, least)
    assert np.all(found >= floor)
    assert np.all(found <= sizes)
    assert found.sum() == min(points, sizes.sum())


def test_ranks_are_drawn_once_each_and_again_with_the_same_seed() -> None:
    strata, points = np.array([1000, 0, 50]), np.array([400, 0, 50])
    ranks = pixel_ranks(strata, points, seed=3)
    assert [len(set(r.tolist())) for r in ranks] == points.tolist()
    assert ranks[2].tolist() == list(range(50))
    assert all((np.diff(r) > 0).all() for r in ranks)
    again = pixel_ranks(strata, points, seed=3)
    assert all((a == b).all() for a, b in zip(ranks, again, strict=True))
    assert (pixel_ranks(strata, points, seed=4)[0] != ranks[0]).any()


def test_every_pixel_is_as_likely_as_another() -> None:
    hits = np.zeros(20)
    for seed in range(2000):
        hits[pixel_ranks(np.array([20]), np.array([5]), seed)[0]] += 1
    assert abs(hits / 2000 - 0.25).max() < 0.05
