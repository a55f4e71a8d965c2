"""How outputs meet targets."""
