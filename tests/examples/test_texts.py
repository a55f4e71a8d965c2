"""The examples on texts, in few epochs."""

from examples import from_text_to_classes, poems


def test_classes_are_learned_from_few_labels(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path))
    assert from_text_to_classes.main(epochs=1, fine_tuning=3) > 0.4
    assert "labelled sentences" in capsys.readouterr().out


def test_verses_are_learned_by_heart(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path))
    written = poems.main()
    assert any(verse in poems.VERSES for verse in written)
