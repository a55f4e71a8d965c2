"""Callbacks, metrics, history, progress, logs."""
