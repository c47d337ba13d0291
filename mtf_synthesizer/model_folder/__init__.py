"""Contents of a model folder: checkpoints, records, lock, scores."""
