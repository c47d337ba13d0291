"""Ways to decode, as the gin bindings of T5's models; no TensorFlow needed."""

_ENCODER_DECODER = "Bitransformer.decode"
_SINGLE_STACK = "Unitransformer.sample_autoregressive"
_NO_LIMIT = 1_000_000  # more tokens than any model writes


def greedy() -> list[str]:
    """Take the likeliest token at each step."""
    return [
        f"{_ENCODER_DECODER}.beam_size = 1",
        f"{_ENCODER_DECODER}.temperature = 0.0",
        f"{_SINGLE_STACK}.temperature = 0.0",
    ]


def beam(size: int, sequences: int) -> list[str]:
    """Search with beams, length penalty ((5 + tokens) / 6)^0.6 as in T5's beam_search.gin.

    Unlike with T5's file, each step compares all tokens instead of two for each beam, and outputs
    may be as long as the model allows: Mesh stops at 1.5 times the longest input of the batch plus
    10 tokens.

    Args:
      size: number of beams.
      sequences: outputs for each input. Beams that return several search to the longest length,
        because an early stop only makes sure that the best output is found.
    """
    return [
        f"{_ENCODER_DECODER}.beam_size = {size}",
        f"{_ENCODER_DECODER}.alpha = 0.6",
        f"{_ENCODER_DECODER}.temperature = 0.0",
        f"{_ENCODER_DECODER}.sampling_keep_top_k = -1",
        f"{_ENCODER_DECODER}.decode_length_constant = {_NO_LIMIT}",
        "beam_search.num_prefilter = 0",
        f"beam_search.stop_early = {sequences == 1}",
    ]


def sample(temperature: float) -> list[str]:
    """Draw each token from the model's distribution, sharpened by a temperature below 1."""
    return [
        f"{_ENCODER_DECODER}.beam_size = 1",
        f"{_ENCODER_DECODER}.temperature = {temperature}",
        f"{_SINGLE_STACK}.temperature = {temperature}",
    ]
