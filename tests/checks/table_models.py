"""Small models with one kind of attention, and text for them: what train_tables.py trains."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
import numpy as np
import tensorflow.compat.v1 as tf
from mesh_tensorflow.transformer import transformer, transformer_layers

from mtf_synthesizer.attention.interface import SynthesizingFunction
from mtf_synthesizer.attention.layer import SyntheticAttention
from mtf_synthesizer.attention.synthesizers import DotProduct, FactorizedRandom, FixedRandom, Random
from mtf_synthesizer.mesh.clipping import ClippedOptimizer
from mtf_synthesizer.studies.demo.random_tables import attention_of
from mtf_synthesizer.tasks import pretraining, verses_vocabulary
from mtf_synthesizer.tasks.verses import fixed_order

LENGTH = 64
LAYERS, HEADS, D_MODEL, D_KV, D_FF = 2, 4, 64, 16, 256
WORDS = 512  # the most frequent pieces of the vocabulary; the others count as unknown
UNKNOWN, HIDDEN = 2, WORDS  # the id that hides a token lies behind the pieces
VOCABULARY = WORDS + 128  # Mesh wants a multiple of 128
MASKED = 10  # of 64 tokens, 15 % as in span corruption
T5_STEPS, T5_FLAT_STEPS = 524288, 10000  # T5's pretraining: constant, then 1 / sqrt(step)


@dataclasses.dataclass(frozen=True)
class Run:
    """What distinguishes a row. `batch` counts rows of `LENGTH` tokens."""

    function: str = "r"
    causal: bool = True
    scale: float = 1.0
    rate: float = 0.01
    decay: bool = False
    batch: int = 16
    max_norm: float | None = None
    factored: bool = False
    seed: int = 0

    def synthesizer(self) -> SynthesizingFunction:
        """The function that `function` names."""
        return {
            "v": lambda: DotProduct(),
            "r": lambda: Random(LENGTH, initial_scale=self.scale),
            "fix": lambda: FixedRandom(LENGTH, initial_scale=self.scale),
            "fr": lambda: FactorizedRandom(LENGTH, initial_scale=self.scale),
        }[self.function]()


def rows_of_text(split: str, count: int) -> np.ndarray:
    """int32 [count, LENGTH + 1]: chapters in a fixed pseudo-random order, as one stream."""
    tokens: list[int] = []
    for text in sorted(pretraining.documents(split), key=fixed_order):
        if len(tokens) >= count * (LENGTH + 1):
            break
        tokens += [*verses_vocabulary.VOCABULARY.encode(text), 1]
    rows = min(count, len(tokens) // (LENGTH + 1))
    ids = np.array(tokens[: rows * (LENGTH + 1)], np.int32).reshape(rows, LENGTH + 1)
    return np.where(ids < WORDS, ids, UNKNOWN)


def examples(rows: np.ndarray, causal: bool) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets [rows, LENGTH]: predict the next token, or `MASKED` hidden ones."""
    if causal:
        return rows[:, :-1], rows[:, 1:]
    text = rows[:, :-1]
    order = np.random.RandomState(1).rand(*text.shape).argsort(axis=1)
    hidden = order < MASKED
    return np.where(hidden, HIDDEN, text), np.where(hidden, text, 0)


class Model:
    """One stack with the run's attention, its Adafactor, and a session."""

    def __init__(self, run: Run, steps: int):
        self._run = run
        self._graph = tf.Graph()
        with self._graph.as_default():
            tf.set_random_seed(run.seed)
            graph = mtf.Graph()
            mesh = mtf.Mesh(graph, "tables")
            shape = mtf.Shape([mtf.Dimension("batch", run.batch), mtf.Dimension("length", LENGTH)])
            self._feeds = [tf.placeholder(tf.int32, shape.to_integer_list) for _ in range(2)]
            inputs, targets = (mtf.import_tf_tensor(mesh, feed, shape) for feed in self._feeds)
            loss = _stack(run).call_simple(inputs, targets, compute_loss=True)[1]
            updates = _updates(graph, loss, run, steps)
            place = mtf.placement_mesh_impl.PlacementMeshImpl("", "", ["cpu:0"])
            lowering = mtf.Lowering(graph, {mesh: place})
            # Mesh divides by all positions, those without a target too.
            self._loss = lowering.export_to_tf_tensor(loss) * (
                1.0 if run.causal else LENGTH / MASKED
            )
            with tf.control_dependencies([lowering.lowered_operation(u) for u in updates]):
                # Adafactor's decay rate depends on the step.
                self._step = tf.assign_add(tf.train.get_or_create_global_step(), 1)
            self._tables = {
                variable.name: lowering.export_to_tf_tensor(variable.outputs[0])
                for variable in graph.all_variables
                if variable.name.endswith(("random/table", "random/r1", "random/r2"))
            }
            self._session = tf.Session()
            self._session.run(tf.global_variables_initializer())
            self._session.run(lowering.copy_masters_to_slices())

    def train(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        """One step for each batch of the rows."""
        for feed in self._batches(inputs, targets):
            self._session.run(self._step, feed)

    def evaluate(self, inputs: np.ndarray, targets: np.ndarray) -> float:
        """Mean loss of the rows."""
        feeds = self._batches(inputs, targets)
        return float(np.mean([self._session.run(self._loss, feed) for feed in feeds]))

    def maps(self) -> np.ndarray | None:
        """softmax of the tables, [layers * heads, LENGTH, LENGTH]; None if there are none."""
        values = self._session.run(self._tables)
        logits = [value for name, value in values.items() if name.endswith("table")]
        for name in (name for name in values if name.endswith("r1")):
            logits.append(np.einsum("hik,hjk->hij", values[name], values[name[:-2] + "r2"]))
        if not logits:
            return None
        return attention_of(np.concatenate(logits), LENGTH, self._run.causal)

    def close(self) -> None:
        self._session.close()

    def _batches(self, inputs: np.ndarray, targets: np.ndarray) -> Iterator[dict]:
        for start in range(0, len(inputs) - self._run.batch + 1, self._run.batch):
            part = slice(start, start + self._run.batch)
            yield dict(zip(self._feeds, (inputs[part], targets[part]), strict=True))


def _stack(run: Run) -> transformer.Unitransformer:
    layers: list[transformer.TransformerLayer] = []
    for _ in range(LAYERS):
        # As in the gin files: T5's bias of relative positions belongs to the dot product.
        bias = "bias_shared" if run.function == "v" else None
        layers.append(
            SyntheticAttention(
                run.synthesizer(),
                num_heads=HEADS,
                key_value_size=D_KV,
                relative_attention_type=bias,
            )
        )
        layers.append(transformer_layers.DenseReluDense(hidden_size=D_FF))
    for number, layer in enumerate(layers):
        layer.set_name(f"layer_{number:03d}")
    around = [transformer.sublayer_rms_norm, transformer.sublayer_call_layer]
    return transformer.Unitransformer(
        layer_stack=transformer.LayerStack(
            layers,
            sublayers_initial=[],
            sublayers_per_layer=[*around, transformer.sublayer_residual],
            sublayers_final=[transformer.sublayer_rms_norm],
        ),
        d_model=D_MODEL,
        input_vocab_size=VOCABULARY,
        output_vocab_size=VOCABULARY,
        autoregressive=run.causal,
        max_length=LENGTH,
        shared_embedding_and_softmax_weights=True,
        positional_embedding=False,
        name="decoder" if run.causal else "encoder",
    )


def _updates(graph: mtf.Graph, loss: mtf.Tensor, run: Run, steps: int) -> list[mtf.Operation]:
    rate: float | tf.Tensor = run.rate
    if run.decay:
        flat = steps * T5_FLAT_STEPS / T5_STEPS
        step = tf.cast(tf.train.get_or_create_global_step(), tf.float32)
        rate = run.rate * tf.sqrt(flat / tf.maximum(step, flat))

    def adafactor(learning_rate: float | tf.Tensor) -> mtf.optimize.Optimizer:
        # By default only dimensions of 128 and more have factored second moments.
        smallest = min(LENGTH, D_MODEL) if run.factored else 128
        return mtf.optimize.AdafactorOptimizer(
            learning_rate=learning_rate, min_dim_size_to_factor=smallest
        )

    optimizer = ClippedOptimizer(rate, adafactor, run.max_norm)
    variables = graph.trainable_variables
    gradients = mtf.gradients([loss], [variable.outputs[0] for variable in variables])
    return optimizer.apply_grads(gradients, variables)
