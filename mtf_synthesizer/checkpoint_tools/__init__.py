"""Checkpoints seen, averaged and removed: `mtf_synthesizer checkpoints`."""
