"""What a trained model is used for: `mtf_synthesizer export` and `predict --input`."""
