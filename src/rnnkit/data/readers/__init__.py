"""One file a format: each has ``read(path, options) -> SeriesSet``."""
