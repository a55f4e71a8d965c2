"""Model, data, loss and metrics joined: one file a task."""
