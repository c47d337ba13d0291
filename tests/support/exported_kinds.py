"""Gin bindings of models for every part of the modelling file that exports for PyTorch carry."""

GATED = (
    "DenseReluDense.activation = ['gelu', 'linear']",
    "Unitransformer.shared_embedding_and_softmax_weights = False",
)
TILED = ("Random.max_length = 4", "Random.beyond_max_length = @Tile()")
EVERYTHING = (
    "Mixture.functions = [@Random(), @FixedRandom(), @Dense(), @Sum(), @DotProduct()]",
    "Sum.functions = [@FactorizedRandom(), @query/FactorizedDense(), @Random(), @DotProduct()]",
    "query/FactorizedDense.hidden = @QueryProjection()",
    "query/FactorizedDense.max_length = %max_length",
    "encoder/SyntheticAttention.relative_attention_type = 'bias'",
    "SyntheticAttention.fold_scaling_into_initializer = False",
    *TILED,
)
# Groups of two heads and one; distances beyond the table of Toeplitz.
GROUPS = (
    "Heads.functions = [@Mixture(), @DotProduct()]",
    "Heads.sizes = [2, 1]",
    "Mixture.functions = [@Toeplitz(), @Uniform(), @Random(), @DotProduct()]",
    "Toeplitz.max_length = 4",
)
BANDED = ("BandedRandom.width = 2", "BandedRandom.max_length = 11")
CROSS_GROUPS = (
    "SyntheticEncDecAttention.synthesizer = @cross/Heads()",
    "cross/Heads.functions = [@cross/Mixture(), @BandedRandom()]",
    "cross/Heads.sizes = [2, 1]",
    "cross/Mixture.functions = [@Toeplitz(), @DotProduct(), @Dense(), @Random(), @DotProduct()]",
    *BANDED,
    "SyntheticEncDecAttention.fold_scaling_into_initializer = False",
)
CROSS_BANDED = (
    "SyntheticEncDecAttention.synthesizer = @cross/Mixture()",
    "cross/Mixture.functions = [@BandedRandom(), @Random(), @DotProduct()]",
    *BANDED,
)


def stretched(length: int) -> tuple[str, ...]:
    """Half of every table, stretched by both rules, also by a function without rows of queries."""
    return (
        "Mixture.functions = [@Random(), @BandedRandom(), @Dense(), @Sum(), @DotProduct()]",
        "Sum.functions = [@FactorizedDense(), @FactorizedRandom(), @FixedRandom()]",
        "max_length = 6",
        f"Interpolate.length = {length}",
        f"LearnedTile.length = {length}",
        *(f"{name}.beyond_max_length = @Interpolate()" for name in ("Dense", "FixedRandom")),
        *(
            f"{name}.beyond_max_length = @LearnedTile()"
            for name in ("Random", "BandedRandom", "FactorizedDense", "FactorizedRandom")
        ),
    )
