from digits import on_made_digits
from empty_pictures import empty_pictures, whole_pictures
from series_runs import train, trained

__all__ = ["empty_pictures", "on_made_digits", "train", "trained", "whole_pictures"]
