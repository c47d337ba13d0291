"""Selectors of release 0.1, which contained the module of each configurable.

Every configurable now registers under `mtf_synthesizer` alone. A file can then move without
breaking the configurations saved in model folders.
"""

_MODULES = {
    "attention": ("SyntheticAttention",),
    "baselines.convolutions": ("DynamicConv", "LightConv"),
    "baselines.fixed_patterns": ("FixedPatterns",),
    "baselines.linformer": ("Linformer",),
    "baselines.token_mixing": ("TokenMixing",),
    "clipping": ("ClippedOptimizer",),
    "embedding": ("GatheredEmbedding",),
    "encoder_only": ("predict_aligned", "predict_class", "sublayer_mark_padding"),
    "interface": ("Refuse", "Tile"),
    "mesh_devices": ("visible_devices",),
    "mixture": ("Mixture", "Sum"),
    "synthesizers": (
        "Dense",
        "DotProduct",
        "FactorizedDense",
        "FactorizedRandom",
        "FixedRandom",
        "OwnProjection",
        "QueryProjection",
        "Random",
    ),
    "token_loss": ("token_cross_entropy",),
}


def _aliases() -> dict[str, str]:
    """Map every old selector, whole or shortened from the left -> current selector."""
    aliases = {}
    for module, names in _MODULES.items():
        parts = ["mtf_synthesizer", *module.split(".")]
        for name in names:
            for start in range(len(parts)):
                old = ".".join([*parts[start:], name])
                aliases[old] = f"mtf_synthesizer.{name}"
    return aliases


ALIASES = _aliases()


def current(selector: str) -> str:
    """Return the current selector for a selector of release 0.1; return others unchanged."""
    return ALIASES.get(selector, selector)
