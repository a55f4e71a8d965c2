"""The measurement of streams, in small."""

from benchmarks import speech


def test_speed_is_told(capsys):
    speech.main([], seconds=0.3)  # so little sound says nothing about speed
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in said[1:4]] == [f"pieces of {size} s" for size in ("0.02", "0.1", "0.2")]
    assert said[4].startswith("one stream on one thread: ")
    assert said[5].startswith("16 streams at once on ")
