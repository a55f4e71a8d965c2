"""How data becomes batches."""
