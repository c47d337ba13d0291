"""Tokenizer files of an exported model, if transformers has a tokenizer for its vocabulary."""

from __future__ import annotations

from typing import Any

import seqio

from mtf_synthesizer.files import paths, saving
from mtf_synthesizer.upstream import vocabulary as vocabularies

_SENTENCE_PIECES = "spiece.model"
_COMMON = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def write(
    folder: paths.Path, inputs: seqio.Vocabulary, targets: seqio.Vocabulary, longest: int
) -> bool:
    """Write the tokenizer files.

    Args:
      folder: folder of the exported model.
      inputs, targets: vocabularies of the model.
      longest: length of the inputs in training, in tokens.

    Returns:
      Whether files were written. transformers has one tokenizer for inputs and targets, of
      SentencePiece or of bytes.
    """
    described = vocabularies.describe(inputs)
    if described != vocabularies.describe(targets):
        return False
    settings: dict[str, Any] = {**_COMMON, "extra_ids": described["sentinels"]}
    if described["kind"] == "sentencepiece":
        saving.write_bytes(folder / _SENTENCE_PIECES, vocabularies.model_bytes(inputs))
        settings["tokenizer_class"] = "T5Tokenizer"
    elif described["kind"] == vocabularies.BYTES:
        settings["tokenizer_class"] = "ByT5Tokenizer"
    else:
        return False
    saving.write_json(folder / "tokenizer_config.json", {**settings, "model_max_length": longest})
    return True
