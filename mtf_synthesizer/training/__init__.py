"""Train a model, resume a run, start from another model."""
