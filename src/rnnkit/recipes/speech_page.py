from __future__ import annotations


def write_speech_page(*a, **k): ...
