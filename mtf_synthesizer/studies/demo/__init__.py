"""V, R and R+V trained and compared in minutes: `mtf_synthesizer demo`."""
