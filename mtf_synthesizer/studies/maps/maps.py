"""Attention maps of every layer, head and example, for a trained model and at the start."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mtf_synthesizer.runtime.compat

import numpy as np

from mtf_synthesizer.config.request import Configuration
from mtf_synthesizer.files import paths, saving
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.studies.maps import examples
from mtf_synthesizer.studies.maps.examples import Features, Subject
from mtf_synthesizer.studies.maps.graph import AttentionGraph, StackTokens
from mtf_synthesizer.studies.maps.layers import Layer
from mtf_synthesizer.training import attention_summaries
from mtf_synthesizer.upstream import session
from mtf_synthesizer.upstream.model import Model

Reader = Callable[[Subject], Features]


@dataclasses.dataclass(frozen=True)
class Maps:
    """The attention of one model on some examples.

    Attributes:
      title: the model's synthesizing functions, in the paper's letters.
      model_dir: folder of the model.
      step: step of the checkpoint.
      checkpoint: path of the checkpoint.
      layers: layers by their place, such as encoder/block_000/layer_000.
      weights: place -> float32 [example, heads, length, memory_length].
      initial: weights before any training, in the form of `weights`.
      initial_is_saved: whether `initial` is the folder's checkpoint of step 0; otherwise its
        variables are newly drawn.
      left_out: layers without weights -> why.
      alphas: place -> float [heads, terms] of a mixture.
      positions: tokens at the positions of each stack.
      tokens: stack -> example -> tokens, without padding.
    """

    title: str
    model_dir: str
    step: int
    checkpoint: str
    layers: Mapping[str, Layer]
    weights: Mapping[str, np.ndarray]
    initial: Mapping[str, np.ndarray]
    initial_is_saved: bool
    left_out: Mapping[str, str]
    alphas: Mapping[str, np.ndarray]
    positions: Mapping[str, StackTokens]
    tokens: Mapping[str, Sequence[Sequence[str]]]

    def place(self, stack: str, block: int, over_encoder: bool = False) -> str | None:
        """The place of a block's layer with weights; None without such a layer."""
        key = (stack, block, over_encoder)
        for place, layer in self.layers.items():
            if (layer.stack, layer.block, layer.over_encoder) == key:
                return place
        return None

    def axes(self, place: str, example: int) -> tuple[Sequence[str], Sequence[str]]:
        """The tokens of queries and keys."""
        layer = self.layers[place]
        keys = "encoder" if layer.over_encoder else layer.stack
        return self.tokens[layer.stack][example], self.tokens[keys][example]

    def of_example(self, weights: Mapping[str, np.ndarray], place: str, example: int) -> np.ndarray:
        """Weights [heads, queries, keys] without padding, of `self.weights` or `self.initial`."""
        queries, keys = self.axes(place, example)
        return weights[place][example][:, : len(queries), : len(keys)]

    def visible(self, weights: Mapping[str, np.ndarray], place: str) -> np.ndarray:
        """All weights of a layer in one vector, for its histogram.

        Padding is left out. Masked keys (weight 0) and queries that see a single key (weight 1)
        are left out too.
        """
        positive = []
        for example in range(len(weights[place])):
            rows = self.of_example(weights, place, example)
            rows = rows[np.count_nonzero(rows, axis=-1) > 1]
            positive.append(rows[rows > 0])
        return np.concatenate(positive)


def of_model(
    folder: ModelFolder,
    configuration: Configuration,
    checkpoint: Checkpoint,
    read: Reader,
    verbose: bool,
) -> Maps:
    """Build a model as it was trained, and compute its attention weights.

    Args:
      folder: folder of the model.
      configuration: configuration of the model.
      checkpoint: the trained variables.
      read: reads the examples.
      verbose: whether T5, Mesh and TensorFlow write logs.

    Raises:
      errors.UserError: the model has no attention weights, or the examples do not fit the model.
    """
    first = folder.checkpoints[0]
    with session.configured(configuration, verbose):
        model = session.build(folder.path)
        features = read(Subject(folder, model, checkpoint))
        graph = AttentionGraph(features, model.model_type, model.vocabulary)
        is_saved = first.step == 0
        initial = graph.trained(first.path) if is_saved else graph.initial()
        weights = graph.trained(checkpoint.path)
        graph.close()
        # Only under this configuration tasks have the vocabulary of the model.
        tokens = {stack: _tokens(model, fed) for stack, fed in graph.positions.items()}
    alphas = attention_summaries.alphas(checkpoint.path)
    return Maps(
        title=graph.title,
        model_dir=str(folder),
        step=checkpoint.step,
        checkpoint=checkpoint.path,
        layers=graph.layers,
        weights=weights,
        initial=initial,
        initial_is_saved=is_saved,
        left_out=graph.left_out,
        alphas={scope.rpartition("/")[0]: alpha for scope, alpha in alphas.items()},
        positions=graph.positions,
        tokens=tokens,
    )


def _tokens(model: Model, positions: StackTokens) -> list[list[str]]:
    vocabulary = examples.vocabulary_of(model, positions.feature)
    return [
        examples.pieces(vocabulary, ids[:length])
        for ids, length in zip(positions.ids, positions.lengths, strict=True)
    ]


def save(path: paths.Path, maps: Maps, weights: Mapping[str, np.ndarray]) -> None:
    """Write weights as an .npz file.

    Arrays of the file:
      <place of a layer>: float32 [example, heads, length, memory_length], its weights.
      tokens/<stack>: int [example, length], the tokens fed in.
      lengths/<stack>: int [example], the number of real tokens.
      alpha/<place>: float [heads, terms].
    """
    arrays = dict(weights)
    for stack, positions in maps.positions.items():
        arrays[f"tokens/{stack}"] = positions.ids
        arrays[f"lengths/{stack}"] = np.array(positions.lengths)
    arrays |= {f"alpha/{place}": alpha for place, alpha in maps.alphas.items()}
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]  # other parameters are unused
    saving.write_bytes(path, stream.getvalue())


def described(maps: Maps) -> dict[str, Any]:
    """A description of the arrays, as JSON values."""
    return {
        "title": maps.title,
        "model_dir": maps.model_dir,
        "step": maps.step,
        "initial": "checkpoint of step 0" if maps.initial_is_saved else "drawn again",
        "layers": {place: dataclasses.asdict(layer) for place, layer in maps.layers.items()},
        "left_out": dict(maps.left_out),
        "tokens": maps.tokens,
    }
