"""Summary, profile and the learning-rate sweep."""
