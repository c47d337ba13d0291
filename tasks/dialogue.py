"""PersonaChat of the paper's Table 3: history and persona in, reply out.

`synthesizer_personachat_small_v001` is part of the validation set, for use without the training
file: its figures are not comparable with published figures.
"""

import functools

import seqio
import tensorflow as tf
from t5.data import preprocessors

from mtf_synthesizer.tasks import dialogue_metrics
from mtf_synthesizer.upstream import vocabulary


@seqio.map_over_dataset
def persona_chat(x: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Convert one exchange to text to text.

    {"history": "hello !\\nhi .\\nhow are you ?", "persona": "i read .\\ni swim .",
     "reply": "fine .", "dialogue": 7, "turn": 2} becomes
    {"inputs": "history: hello ! | hi . | how are you ? persona: i read . i swim .",
     "targets": "fine .", "idx": [7, 2]}

    The latest utterance and the persona come last, because long inputs are cut at the front.
    """
    history = tf.strings.regex_replace(x["history"], "\n", " | ")
    persona = tf.strings.regex_replace(x["persona"], "\n", " ")
    return {
        "inputs": tf.strings.join(["history: ", history, " persona: ", persona]),
        "targets": x["reply"],
        "idx": tf.stack([x["dialogue"], x["turn"]]),
    }


for _name in ("personachat", "personachat_small"):
    seqio.TaskRegistry.add(
        f"synthesizer_{_name}_v001",
        source=seqio.TfdsDataSource(tfds_name=f"synthesizer_{_name}:1.0.0"),
        preprocessors=[
            persona_chat,
            seqio.preprocessors.tokenize,
            seqio.CacheDatasetPlaceholder(),
            functools.partial(preprocessors.trim_tokens_at_front, keys_to_trim=["inputs"]),
            seqio.preprocessors.append_eos_after_trim,
        ],
        output_features=vocabulary.output_features(),
        metric_fns=list(dialogue_metrics.DIALOGUE),
    )
