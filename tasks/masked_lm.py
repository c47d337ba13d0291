"""Token-level masked language modelling on C4, for models of Mesh's type "aligned".

The paper's Table 4 measures it beside T5's span corruption (c4_v220_span_corruption). As in BERT,
15 % of the tokens are chosen independently for prediction. Of these 80 % become the first sentinel,
10 % a random token, and 10 % stay. `targets` holds each chosen token at its place and 0 elsewhere,
where Mesh counts no loss. All rows are full: train without packing.
"""

import functools
from collections.abc import Sequence

import seqio
import tensorflow as tf
from t5.data import preprocessors

from mtf_synthesizer.tasks import recipes
from mtf_synthesizer.upstream import tasks

NOISE_DENSITY = 0.15
KEPT = 0.1
RANDOM = 0.1


def noisy_inputs(
    tokens: tf.Tensor, noise_mask: tf.Tensor, vocabulary: seqio.Vocabulary, seeds: Sequence
) -> tf.Tensor:
    """Replace most of the chosen tokens."""
    own_seed = tf.random.experimental.stateless_fold_in(seeds[0], 1)  # T5's function uses both
    kept = tf.random.stateless_uniform(tf.shape(tokens), seed=own_seed) < KEPT
    return preprocessors.noise_token_to_random_token_or_sentinel(
        tokens, noise_mask & ~kept, vocabulary, seeds=seeds, random_prob=RANDOM / (1 - KEPT)
    )


def chosen_targets(
    tokens: tf.Tensor, noise_mask: tf.Tensor, vocabulary: seqio.Vocabulary, seeds: Sequence
) -> tf.Tensor:
    """Return the chosen tokens at their places, 0 elsewhere."""
    del vocabulary, seeds
    return tf.where(noise_mask, tokens, 0)


def split_to_inputs(dataset: tf.data.Dataset, sequence_length: dict[str, int]) -> tf.data.Dataset:
    """Split running text into rows of the inputs' length."""
    return preprocessors.split_tokens(dataset, max_tokens_per_segment=sequence_length["inputs"])


tasks.ALIGNED.add("synthesizer_c4_mlm_v001")
seqio.TaskRegistry.add(
    "synthesizer_c4_mlm_v001",
    source=seqio.TfdsDataSource(tfds_name="c4/en:2.2.0"),
    preprocessors=[
        recipes.text_as_targets(),
        seqio.preprocessors.tokenize,
        seqio.CacheDatasetPlaceholder(),
        functools.partial(preprocessors.select_random_chunk, max_length=65536),
        preprocessors.reduce_concat_tokens,
        split_to_inputs,
        functools.partial(
            preprocessors.denoise,
            noise_density=NOISE_DENSITY,
            noise_mask_fn=preprocessors.iid_noise_mask,
            inputs_fn=noisy_inputs,
            targets_fn=chosen_targets,
        ),
    ],
    output_features=recipes.without_eos("inputs", "targets"),
    metric_fns=[],
)
