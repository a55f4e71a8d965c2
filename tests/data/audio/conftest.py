"""An empty folder for clips."""

import pytest


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for clips; archives are unpacked elsewhere in the test's own files, and no data is found."""
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RNNKIT_DATA", raising=False)
    (tmp_path / "clips").mkdir()
    return tmp_path / "clips"
