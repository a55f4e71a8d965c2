"""The examples on texts, in few epochs."""

import rnnkit
from examples import from_text_to_classes, poems
from rnnkit.data import train_tokenizer


def test_classes_are_learned_from_few_labels(monkeypatch, capsys):
    def pretrain(_):
        """A model that was not trained, to have the rest of the example in a second."""
        tokenizer = train_tokenizer("word", [text for text, _ in from_text_to_classes.described()], lowercase=True)
        return rnnkit.LanguageModel(len(tokenizer), embedding_size=16, hidden_size=16, num_layers=1), tokenizer

    monkeypatch.setattr(from_text_to_classes, "pretrain", pretrain)
    assert from_text_to_classes.main(fine_tuning=12) > 0.5
    assert "labelled sentences" in capsys.readouterr().out


def test_verses_are_learned_by_heart(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path))
    written = poems.main(epochs=12)
    assert any(verse in poems.VERSES for verse in written)
