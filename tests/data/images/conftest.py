"""A folder for the pictures of a test; the user's own folders are out of reach."""

import pytest


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RNNKIT_DATA", raising=False)
    (tmp_path / "set").mkdir()
    return tmp_path / "set"
