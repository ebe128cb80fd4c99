"""The split of the ground: whole blocks, every class everywhere, nothing leaks."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.training.split import TEST, TRAIN, VALIDATION, gap_windows, split_blocks

SHARES = (0.7, 0.15, 0.15)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(3, 60), st.integers(1, 6), st.integers(0, 1000))
def test_every_block_has_one_part_and_the_same_seed_deals_the_same(
    numbers: int, n_blocks: int, n_classes: int, seed: int
) -> None:
    counts = np.random.default_rng(numbers).integers(0, 500, (n_blocks, n_classes))
    part = split_blocks(counts, SHARES, seed=seed)
    assert set(part.tolist()) <= {TRAIN, VALIDATION, TEST}
    assert part.tolist() == split_blocks(counts, SHARES, seed=seed).tolist()


def test_shares_hold_for_each_class() -> None:
    rng = np.random.default_rng(5)
    counts = rng.integers(0, 300, (400, 4)) * (rng.random((400, 4)) < [0.9, 0.5, 0.2, 0.05])
    part = split_blocks(counts, SHARES, seed=1)
    for k in range(4):
        total = counts[:, k].sum()
        for kind, share in enumerate(SHARES):
            assert abs(counts[part == kind, k].sum() / total - share) < 0.1


def test_a_rare_class_is_trained_and_checked() -> None:
    counts = np.zeros((40, 2), np.int64)
    counts[:, 0] = 1000
    counts[:5, 1] = 10
    part = split_blocks(counts, SHARES, seed=3)
    assert (part[:5] == TRAIN).any()
    assert (part[:5] == VALIDATION).any()


def test_blocks_that_are_told_stay_where_they_are() -> None:
    fixed = np.array([TEST, -1, TRAIN, VALIDATION, -1], np.int8)
    part = split_blocks(np.ones((5, 1), np.int64), SHARES, fixed=fixed, seed=0)
    assert part[[0, 2, 3]].tolist() == [TEST, TRAIN, VALIDATION]
    assert (part >= 0).all()


def test_no_training_pixel_is_near_other_ground() -> None:
    side, gap, n = 16, 4, 5
    places = np.array([(0, r, c) for r in range(n) for c in range(n)])
    part = np.random.default_rng(2).integers(0, 3, n * n).astype(np.int8)
    ground = np.zeros((n * side, n * side), np.int8)
    allowed = np.ones_like(ground, dtype=bool)
    for block, (_, r, c) in enumerate(places.tolist()):
        ground[r * side : (r + 1) * side, c * side : (c + 1) * side] = part[block]
    for block, window in gap_windows(places, part, side, gap):
        _, r, c = places[block].tolist()
        rows = slice(r * side + window.row_off, r * side + window.row_end)
        cols = slice(c * side + window.col_off, c * side + window.col_end)
        allowed[rows, cols] = False
    trained = np.argwhere((ground == TRAIN) & allowed)
    others = np.argwhere(ground != TRAIN)
    apart = np.abs(trained[:, None] - others[None]).max(axis=2).min(axis=1)
    assert apart.min() > gap
    # And no more than that is given up.
    left_out = np.argwhere((ground == TRAIN) & ~allowed)
    near = np.abs(left_out[:, None] - others[None]).max(axis=2).min(axis=1)
    assert near.max() <= gap


def test_neighbours_of_another_scene_do_not_matter() -> None:
    places = np.array([(0, 0, 0), (1, 0, 1)])
    assert gap_windows(places, np.array([TRAIN, TEST], np.int8), 16, 4) == []
