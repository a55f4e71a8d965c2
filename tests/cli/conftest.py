from digits import on_made_digits
from empty_pictures import empty_pictures, whole_pictures

__all__ = ["empty_pictures", "on_made_digits", "whole_pictures"]
