"""Selectors of release 0.1 in gin's registry, beside those of today."""

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
    """Lets gin resolve the selectors of release 0.1.

    An alias is known by its whole spelling only: entered into the tree of selectors as well, it
    would make the short name of every configurable ambiguous.
    """
    registry = config._REGISTRY
    for old, selector in ALIASES.items():
        registry._selector_map[old] = registry[selector]
