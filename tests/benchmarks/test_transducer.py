"""The measurement of the transducer's loss, in small."""

from benchmarks import transducer

SIZES = transducer.Sizes(batch=2, frames=5, labels=3, vocabulary=8)


def test_speed_error_and_memory_are_told(capsys):
    transducer.main(["--rounds", "1"], SIZES)  # so small a lattice says nothing about speed and memory
    said = capsys.readouterr().out.splitlines()
    assert said[1].startswith("transducer loss and gradient: rnnkit ")
    assert said[2].startswith("error of the loss ")
    assert said[3].startswith("memory ")


def test_errors_are_those_of_rounding():
    logits, targets = transducer.make_batch(SIZES)
    assert max(transducer.errors(targets, logits)) < transducer.ERROR
