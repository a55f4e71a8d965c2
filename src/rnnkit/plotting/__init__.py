"""Pictures that several packages draw: their style, and learning curves. matplotlib is imported when one is drawn."""
