"""Optimizers, schedules, clipping, averages, penalties."""
