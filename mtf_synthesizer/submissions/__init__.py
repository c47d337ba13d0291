"""From predictions to the files that leaderboards want: `mtf_synthesizer submit`."""
