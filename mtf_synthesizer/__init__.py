"""Synthesizer attention for Mesh-TensorFlow and T5: softmax(S(X)) G(X) for any choice of S.

Importing this package loads no TensorFlow. `mtf_synthesizer.attention` holds the layer and the
synthesizing functions, `mtf_synthesizer.tasks` the SeqIO tasks.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
import types

__version__ = "0.2.0"
# Modules that configurations and modules of users of 0.1 import -> their places today.
_MOVED = {
    f"{__name__}.{old}": f"{__name__}.{new}"
    for old, new in {
        "clipping": "mesh.clipping",
        "embedding": "mesh.embedding",
        "interface": "attention.interface",
        "encoder_only": "upstream.encoder_only",
        "mesh_devices": "upstream.devices",
        "synthesizers": "attention.synthesizers",
        "tasks.vocabularies": "upstream.vocabulary",
        "token_loss": "mesh.token_loss",
    }.items()
}


class _MovedModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Resolves the old names of modules that saved configurations import."""

    def __init__(self) -> None:
        self._specs: dict[str, importlib.machinery.ModuleSpec | None] = {}

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _MOVED:
            return None
        return importlib.machinery.ModuleSpec(fullname, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        module = importlib.import_module(_MOVED[spec.name])
        # A configuration that imports an old name may bind by an old selector too.
        importlib.import_module(f"{__name__}.upstream.old_selectors").register()
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """The module has run under its own name; only its spec was replaced by the old name's."""
        if module.__spec__ is not None:
            module.__spec__ = self._specs[module.__spec__.name]


sys.meta_path.append(_MovedModules())
