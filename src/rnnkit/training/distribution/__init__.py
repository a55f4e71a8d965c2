"""Several processes that train one model: their group, and what they exchange."""
