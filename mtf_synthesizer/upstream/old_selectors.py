"""Selectors of release 0.1 in gin's registry, beside the current selectors."""

import mtf_synthesizer.runtime.compat

from gin import config

import mtf_synthesizer.attention
import mtf_synthesizer.baselines
import mtf_synthesizer.mesh.clipping
import mtf_synthesizer.mesh.embedding
import mtf_synthesizer.mesh.token_loss
import mtf_synthesizer.upstream.devices
import mtf_synthesizer.upstream.encoder_only
from mtf_synthesizer.config.old_selectors import ALIASES


def register() -> None:
    """Make gin resolve the selectors of release 0.1.

    gin resolves an alias by its whole spelling only. In the tree of selectors, the alias would make
    the short name of every configurable ambiguous.
    """
    registry = config._REGISTRY
    for old, selector in ALIASES.items():
        registry._selector_map[old] = registry[selector]
