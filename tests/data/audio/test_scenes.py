"""Scenes of sound whose speech is known."""

import math

import pytest
import torch

from rnnkit.data.audio.scenes import KINDS, SceneMaker, SceneOptions
from rnnkit.data.audio.speech_segments import Segment
from rnnkit.errors import ConfigError, DataError

RATE = 8000
VOICE = 0.2 * torch.sin(torch.arange(4000) * 0.2)
PLAIN = SceneOptions(seconds=6.0, silent=0.0, quiet=0.0, room=0.0, gain_db=(0.0, 0.0))


def maker(options=PLAIN, **others):
    return SceneMaker([VOICE, torch.zeros(4000)], [[Segment(0.1, 0.4)], []], RATE, options, **others)


def mask(scene):
    found = torch.zeros(len(scene.samples), dtype=torch.bool)
    for start, end in scene.segments:
        found[round(start * RATE) : round(end * RATE)] = True
    return found


def test_speech_is_where_the_segments_are():
    scene = maker()(1, kind="quiet")
    spoken = mask(scene)
    assert 0.1 < spoken.double().mean() < 0.9
    inside, outside = scene.samples[spoken].square().mean(), scene.samples[~spoken].square().mean()
    assert 10 * math.log10(inside / outside) > 10
    assert scene.db == math.inf


@pytest.mark.parametrize("kind", KINDS[1:])
def test_other_sound_has_its_ratio(kind):
    scene = maker()(2, kind=kind, db=5.0)
    clean = maker()(2, kind="quiet")
    assert scene.segments == clean.segments
    added = (scene.samples - clean.samples).square().mean()
    spoken = clean.samples[mask(clean)].square().mean()
    assert 10 * math.log10(spoken / added) == pytest.approx(5.0, abs=0.6)  # the faint noise differs by nothing else


def test_equal_seeds_give_equal_scenes_and_others_others():
    assert torch.equal(maker()(3).samples, maker()(3).samples)
    assert not torch.equal(maker()(3).samples, maker()(4).samples)
    made = maker(SceneOptions(seconds=1.0), noises=[torch.randn(500)])
    kinds = {made(seed).kind for seed in range(40)}
    assert kinds == {*KINDS, "recorded"}


def test_scenes_without_speech_have_no_segments():
    options = SceneOptions(seconds=1.0, silent=1.0)
    scenes = [maker(options)(seed) for seed in range(4)]
    assert all(not scene.segments and scene.samples.abs().max() > 0 for scene in scenes)


def test_what_cannot_be_made_is_refused():
    with pytest.raises(DataError, match="nobody speaks"):
        SceneMaker([VOICE], [[]], RATE)
    with pytest.raises(ConfigError, match="lowest, highest"):
        SceneOptions(noise_db=(5.0, 0.0))
    with pytest.raises(ConfigError, match="silent"):
        SceneOptions(silent=1.5)
