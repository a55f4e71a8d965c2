"""The division of an epoch between lanes, from a few numbers alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnkit.data.shards.order import Division, Progress, as_ranges, cut, numbers_in, size_of
from rnnkit.errors import DataError


def taken_in(division, lane, count, buffer):
    """The positions that a lane takes first, in the order of its buffer."""
    numbers = numbers_in(division.ranges(lane))
    if not buffer:
        return numbers[:count].tolist()
    found = []
    for window, begin in enumerate(range(0, len(numbers), buffer)):
        part = numbers[begin : begin + buffer]
        found += part[division.permutation(lane, window, len(part))].tolist()
    return found[:count]


@given(
    size=st.integers(1, 200),
    parts=st.lists(st.tuples(st.integers(1, 7), st.integers(0, 40)), max_size=3),
    lanes=st.integers(1, 7),
    buffer=st.sampled_from([0, 1, 4, 9]),
    even=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_every_position_belongs_to_one_lane_however_often_their_number_changes(size, parts, lanes, buffer, even):
    whole = as_ranges([(0, size)])
    seen, done = [], []
    for part_lanes, count in parts:
        division = Division(whole, done, part_lanes, even=even, buffer=buffer, key=(3,))
        for lane in range(part_lanes):
            seen += taken_in(division, lane, count, buffer)
        done.append((part_lanes, count))
    last = Division(whole, done, lanes, even=even, buffer=buffer, key=(3,))
    for lane in range(lanes):
        assert len(numbers_in(last.ranges(lane))) == last.lengths[lane]
        seen += numbers_in(last.ranges(lane)).tolist()
    assert len(set(seen)) == len(seen)
    left = size - len(seen)
    assert left == 0 if not even else 0 <= left < lanes
    if even:
        assert len(set(last.lengths)) == 1


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=6), st.integers(0, 60), st.integers(0, 60))
def test_cut_is_a_slice_of_the_numbers(pairs, begin, end):
    ranges = as_ranges([(low, low + length) for low, length in pairs])
    assert numbers_in(cut(ranges, begin, end)).tolist() == numbers_in(ranges)[begin:end].tolist()
    assert size_of(ranges) == len(numbers_in(ranges))


def test_a_position_is_a_few_numbers():
    progress = Progress()
    progress.begin(4)
    progress.advance(10)
    progress.advance(10)
    other = Progress()
    other.load_state_dict(progress.state_dict())
    other.begin(4)
    assert (other.parts, other.taken, other.batch) == ([], 20, 2)
    other.advance(5)
    third = Progress()
    third.load_state_dict(other.state_dict())
    assert third.state_dict() == other.state_dict() == {"epoch": 0, "batch": 3, "parts": [[4, 25]]}
    third.begin(6)
    third.advance(1)
    assert third.state_dict()["parts"] == [[4, 25], [6, 1]]
    third.end()
    assert third.state_dict() == {"epoch": 1, "batch": 0, "parts": []}


def test_division_is_quick_for_many_lanes():
    whole = as_ranges([(0, 10**12)])
    division = Division(whole, [(4096, 10**6)], 2048)
    assert size_of(division.ranges(2047)) == division.lengths[0]
    assert np.isclose(division.lengths[0] * 2048, 10**12 - 4096 * 10**6, rtol=1e-6)
    with pytest.raises(IndexError):
        division.ranges(4096)


@pytest.mark.parametrize(
    "state",
    [{}, {"position": 3}, {"epoch": 0, "batch": 1, "parts": [3]}, {"epoch": -1, "batch": 0, "parts": []}, None,
     {"epoch": 0, "batch": 1, "parts": [[0, 3]]}, {"epoch": 0, "batch": "1", "parts": []}],
)  # fmt: skip
def test_a_state_of_something_else_is_refused(state):
    progress = Progress()
    with pytest.raises(DataError, match="expected what state_dict"):
        progress.load_state_dict(state)
