"""How learned attention tables train, by initial scale, learning rate, batch and clipping.

Trains small one-stack models on the text of the embedded benchmark with Mesh's Adafactor, whose
step is learning rate * max(RMS(parameter), 0.001): a table that starts small moves slowly. Every
row of the printed table is one run. What was found is in docs/table_training.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mtf_synthesizer import quiet

quiet.load_tensorflow(verbose=False)

import mesh_tensorflow as mtf  # noqa: E402
import tensorflow.compat.v1 as tf  # noqa: E402
from mesh_tensorflow.transformer import transformer, transformer_layers  # noqa: E402

from mtf_synthesizer.attention import SyntheticAttention  # noqa: E402
from mtf_synthesizer.clipping import ClippedOptimizer  # noqa: E402
from mtf_synthesizer.interface import SynthesizingFunction  # noqa: E402
from mtf_synthesizer.maps import attention_of, total_variation  # noqa: E402
from mtf_synthesizer.synthesizers import (  # noqa: E402
    DotProduct,
    FactorizedRandom,
    FixedRandom,
    Random,
)
from mtf_synthesizer.tasks import features, pretraining  # noqa: E402
from mtf_synthesizer.tasks.sources import fixed_order  # noqa: E402

LENGTH = 64
LAYERS, HEADS, D_MODEL, D_KV, D_FF = 2, 4, 64, 16, 256
WORDS = 512  # the most frequent pieces of the vocabulary; the others count as unknown
UNKNOWN, HIDDEN = 2, WORDS  # the id that hides a token lies behind the pieces
VOCABULARY = WORDS + 128  # Mesh wants a multiple of 128
MASKED = 10  # of 64 tokens, 15 % as in span corruption
NEAR = 2  # a key is near a query if their positions differ by at most this
PUBLIC_SCALE = 0.003  # Mesh's own Synthesizer: 0.0027 at N = 512 with 8 heads
SCALES = (PUBLIC_SCALE, 0.1, 0.3, 1.0, 3.0)
RATES = (0.003, 0.01, 0.03)
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


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What was measured: losses in nats for a token; of maps None where there is no table.

    Attributes:
        start, loss: held-out loss before and after training.
        moved: total variation between the attention maps before and after.
        entropy: of the maps' rows before and after, in nats.
        near: share of the attention on near keys, before and after.
    """

    start: float
    loss: float
    moved: float | None = None
    entropy: tuple[float, float] | None = None
    near: tuple[float, float] | None = None


def rows_of_text(split: str, count: int) -> np.ndarray:
    """int32 [count, LENGTH + 1]: chapters in a fixed pseudo-random order, as one stream."""
    tokens: list[int] = []
    for text in sorted(pretraining.documents(split), key=fixed_order):
        if len(tokens) >= count * (LENGTH + 1):
            break
        tokens += [*features.VOCABULARY.encode(text), 1]
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


def entropy(maps: np.ndarray) -> float:
    """Mean entropy of the maps' rows, in nats."""
    return float(-(maps * np.log(np.maximum(maps, 1e-30))).sum(-1).mean())


def near(maps: np.ndarray) -> float:
    """Mean share of the attention on keys near the query."""
    position = np.arange(LENGTH)
    return float((maps * (np.abs(position[:, None] - position) <= NEAR)).sum(-1).mean())


def measure(run: Run, training: np.ndarray, held_out: np.ndarray) -> Outcome:
    """Trains once over the training rows."""
    model = Model(run, len(training) // run.batch)
    test = examples(held_out, run.causal)
    start, before = model.evaluate(*test), model.maps()
    model.train(*examples(training, run.causal))
    loss, after = model.evaluate(*test), model.maps()
    model.close()
    if before is None or after is None:
        return Outcome(start, loss)
    return Outcome(
        start,
        loss,
        total_variation(before, after),
        (entropy(before), entropy(after)),
        (near(before), near(after)),
    )


class Report:
    """Measures runs, each of them once, and prints a line for each."""

    def __init__(self, training: np.ndarray, held_out: np.ndarray):
        self._data = training, held_out
        self._known: dict[Run, Outcome] = {}

    def section(self, title: str, runs: Sequence[Run]) -> Run:
        """Prints a table of the runs; returns the one with the lowest held-out loss."""
        print(f"\n{title}\n")
        print("| S | text | scale | rate | batch | | held-out loss | moved | entropy | near |")
        print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
        for run in runs:
            if run not in self._known:
                self._known[run] = measure(run, *self._data)
            print(line(run, self._known[run]), flush=True)
        return min(runs, key=lambda run: self._known[run].loss)


def line(run: Run, outcome: Outcome) -> str:
    """A row of the printed table."""
    special = {
        "rsqrt": run.decay,
        f"clip {run.max_norm}": run.max_norm is not None,
        "factored": run.factored,
        f"seed {run.seed}": run.seed != 0,
    }
    cells = [
        run.function,
        "next" if run.causal else "masked",
        "-" if run.function == "v" else f"{run.scale:g}",
        f"{run.rate:g}",
        f"{run.batch * LENGTH}",
        ", ".join(name for name, holds in special.items() if holds),
        f"{outcome.start:.3f} → {outcome.loss:.3f}",
    ]
    if outcome.moved is None or outcome.entropy is None or outcome.near is None:
        cells += ["-", "-", "-"]
    else:
        cells.append(f"{outcome.moved:.3f}")
        cells += [f"{a:.2f} → {b:.2f}" for a, b in (outcome.entropy, outcome.near)]
    return f"| {' | '.join(cells)} |"


def experiment(report: Report, batch: int) -> None:
    """The whole experiment; later sections vary the best run of the first."""
    grid = [Run(scale=scale, rate=rate, batch=batch) for rate in RATES for scale in SCALES]
    best = report.section("Initial scale and learning rate", grid)

    def variants(**choices: Sequence) -> list[Run]:
        (name, values), *_ = choices.items()
        return [dataclasses.replace(best, **{name: value}) for value in values]

    def scales(*values: float, **changes: Any) -> list[Run]:
        return [dataclasses.replace(run, **changes) for run in variants(scale=values)]

    report.section("The dot product", scales(1.0, function="v"))
    report.section("Hidden tokens, all keys visible", scales(PUBLIC_SCALE, 0.3, 1, 3, causal=False))
    report.section("Larger batches, equal tokens", variants(batch=[batch, 2 * batch, 4 * batch]))
    report.section(
        "Fixed and factorized tables",
        [*scales(PUBLIC_SCALE, 1, 3, function="fix"), *scales(0.1, 1, 3, function="fr")],
    )
    report.section("A higher rate", scales(PUBLIC_SCALE, 1, rate=0.1))
    report.section("Clipping", variants(max_norm=[None, 1.0, 0.1]))
    report.section("T5's schedule", variants(decay=[False, True]))
    report.section("Another seed", scales(0.3, 1, 3, seed=1))
    report.section("Factored second moments", scales(PUBLIC_SCALE, 1, factored=True))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--steps", type=int, default=320, help="at the smallest batch (default: 320)"
    )
    parser.add_argument("--batch", type=int, default=16, help="rows of 64 tokens (default: 16)")
    parser.add_argument("--quick", action="store_true", help="two short runs, to see that it works")
    args = parser.parse_args(arguments)
    if args.steps < 4 or args.batch < 1:
        parser.error(f"--steps is {args.steps}, --batch {args.batch}; at least 4 and 1 are needed")
    begin = time.perf_counter()
    if args.quick:
        data = rows_of_text("train", 40 * 8), rows_of_text("validation", 32)
        Report(*data).section("Quick", [Run(scale=s, batch=8) for s in (PUBLIC_SCALE, 1.0)])
    else:
        data = rows_of_text("train", args.steps * args.batch), rows_of_text("validation", 256)
        experiment(Report(*data), args.batch)
    print(f"\n{time.perf_counter() - begin:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
