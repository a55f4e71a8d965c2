"""The measurement of streams, in small."""

from benchmarks import speech


def test_speed_is_told(capsys):
    speech.main([], seconds=0.3)  # so little sound says nothing about speed
    said = capsys.readouterr().out.splitlines()
    assert said[1].startswith("one stream on one thread: ")
    assert said[2].startswith("16 streams at once on ")
