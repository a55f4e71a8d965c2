"""Whole models: a recurrent body and a head."""
