"""The measurements of understanding speech, and of a stranger's digits, with models that are made up."""

import pytest
import torch

from benchmarks import accuracy, strangers, understanding
from rnnkit.data.audio import write_wav
from rnnkit.recipes.speech_results import DIGITS
from rnnkit.tasks.speech import Transcript


class ByLength:
    """Knows a digit by its length, and says nothing of strings."""

    rate = 8000

    def __call__(self, waveforms):
        numbers = [len(one) // 400 - 1 for one in waveforms]
        return [Transcript(DIGITS[one] if one < 10 else "", [], 1.0, 1.0) for one in numbers]


@pytest.fixture
def prompts(tmp_path):
    folder = tmp_path / "en" / "digits"
    folder.mkdir(parents=True)
    for digit in range(10):
        write_wav(folder / f"{digit}.wav", 0.1 * torch.ones(400 * (digit + 1)), 8000)
    return folder


def test_prompts_of_a_stranger_are_judged_one_by_one_and_in_strings(prompts, tmp_path):
    assert strangers.find_prompts([tmp_path / "none", tmp_path]) == prompts
    figures = strangers.strangers(ByLength(), prompts)
    assert figures["isolated"] == 1.0
    assert figures["strings_wer"] > 0.9
    assert not strangers.met(figures)
    assert strangers.met({"isolated": 0.9, "strings_wer": 0.08})
    assert not strangers.met({"isolated": 0.8, "strings_wer": 0.0})


def test_prompts_that_are_not_installed_are_left_out_aloud(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(strangers, "find_prompts", lambda: None)
    assert strangers.strangers(ByLength()) is None
    assert strangers.main([str(tmp_path)]) == 0
    assert "apt install asterisk-core-sounds-en-wav" in capsys.readouterr().err


def test_without_espeak_understanding_is_left_out_aloud(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert understanding.main([]) == 0
    assert "apt install espeak-ng" in capsys.readouterr().err
    assert not accuracy.possible(accuracy.JOBS["spoken-intents"])


def test_the_cascade_stands_beside_the_one_network():
    figures = {"wer": 0.05, "intent_accuracy": 0.93, "slot_f1": 0.9, "sentence_accuracy": 0.85}
    figures |= {"true_words_intent_accuracy": 0.99, "true_words_slot_f1": 0.98, "true_words_sentence_accuracy": 0.97}
    text = understanding.render(0.89, figures)
    assert "| one network (spoken-intents) | 89.0% |  |  | **not met** |" in text
    assert "| recogniser (5.0% word errors) and intents | 93.0% | 90.0% | 85.0% |  |" in text
    assert "| intents on true words | 99.0% | 98.0% | 97.0% |  |" in text
