"""Teaching a trained model something new: groups of layers, freezing, adapters, new heads, no forgetting."""
