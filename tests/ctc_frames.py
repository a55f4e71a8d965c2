"""Frames of CTC for tests: at random, or such that a text is likely; and all paths through them."""

import itertools

import numpy as np


def log_softmax(values):
    """Return log-probabilities."""
    return values - np.logaddexp.reduce(values, axis=-1, keepdims=True)


def random_frames(frames, size, *, seed=0, spread=2.0):
    """Return log-probabilities [frames, size]."""
    return log_softmax(np.random.default_rng(seed).normal(size=(frames, size)) * spread)


def frames_of(ids, size, *, sure=8.0, seed=0, blank=0):
    """Return frames in which these ids are said, each for two frames with a blank behind."""
    values = np.random.default_rng(seed).normal(size=(3 * len(ids), size))
    for at, one in enumerate(ids):
        values[3 * at : 3 * at + 2, one] += sure
        values[3 * at + 2, blank] += sure
    return log_softmax(values)


def labelling(path, blank=0):
    """Return the tokens of a path."""
    return tuple(one for one, _ in itertools.groupby(path) if one != blank)


def all_paths(log_probs, key=labelling):
    """Return the summed ln p of all paths by their labelling, and the likeliest path of each."""
    sums, best = {}, {}
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        value = sum(log_probs[frame, one] for frame, one in enumerate(path))
        name = key(path)
        sums[name] = np.logaddexp(sums.get(name, -np.inf), value)
        if value > best.get(name, (-np.inf, ()))[0]:
            best[name] = (value, path)
    return sums, {name: path for name, (_, path) in best.items()}


def times_of(path, blank=0):
    """Return the first frame of each token of a path, and the frame behind its last."""
    times, frame = [], 0
    for one, group in itertools.groupby(path):
        length = len(list(group))
        if one != blank:
            times.append((frame, frame + length))
        frame += length
    return times
