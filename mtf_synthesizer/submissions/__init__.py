"""Leaderboard files from predictions: `mtf_synthesizer submit`."""
