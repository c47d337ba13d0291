"""Trained models converted to Synthesizers, with losses before and after: `warm-start --fit`."""
