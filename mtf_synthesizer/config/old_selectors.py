"""Selectors of release 0.1, which carried the module of each configurable.

Every configurable now registers under `mtf_synthesizer` alone, so that a file may move without
breaking the configurations that are saved in model folders.
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
    """Every old spelling with a module, whole or shortened from the left -> selector today."""
    found = {}
    for module, names in _MODULES.items():
        parts = ["mtf_synthesizer", *module.split(".")]
        for name in names:
            for start in range(len(parts)):
                old = ".".join([*parts[start:], name])
                found[old] = f"mtf_synthesizer.{name}"
    return found


ALIASES = _aliases()


def current(selector: str) -> str:
    """The selector of today for one of release 0.1; any other selector as it is."""
    return ALIASES.get(selector, selector)
