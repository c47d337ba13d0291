"""The mixture that models are fine-tuned on."""

import seqio

VERSES = "synthesizer_verses_v001"

# Telling two testaments apart is learned from the fewest examples, translation from the most.
RATES = {
    "synthesizer_testament_v001": 1.0,
    "synthesizer_same_verse_v001": 3.0,
    "synthesizer_modern_english_v001": 4.0,
}

seqio.MixtureRegistry.add(VERSES, list(RATES.items()))
