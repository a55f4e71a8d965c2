from digits import on_made_digits

__all__ = ["on_made_digits"]
