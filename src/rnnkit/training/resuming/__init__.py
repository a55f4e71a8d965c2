"""Checkpoints, and what a resumed run must share."""
