"""Which errors `rnnkit predict --out FOLDER` takes for a folder that cannot be written."""

import errno
from pathlib import Path

import pytest

from rnnkit.cli.predict import _into_folder
from rnnkit.errors import ConfigError


@pytest.mark.parametrize("name", ["a/drawn", "a/drawn/a.png", "a", None])
def test_a_file_that_cannot_be_written_is_of_the_folder(name):
    def predict(data):
        raise OSError(errno.ENOSPC, "No space left on device", name)

    with pytest.raises(ConfigError, match="--out a/drawn cannot be written .No space left on device."):
        _into_folder(predict, Path("a/drawn"))(None)


def test_a_file_elsewhere_is_not():
    def predict(data):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "/weights/model.bin")

    with pytest.raises(FileNotFoundError, match="model.bin"):
        _into_folder(predict, Path("a/drawn"))(None)
