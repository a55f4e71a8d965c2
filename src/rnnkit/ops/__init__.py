"""Recurrences as functions: equations, reference, native call, and where each option runs; losses by name."""
