"""The contents of a model's folder: checkpoints, records, lock, scores."""
