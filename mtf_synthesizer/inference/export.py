"""A trained model as a TensorFlow SavedModel that reads and writes texts: T5's own export."""

import dataclasses
import gc
import os
from collections.abc import Callable, Mapping
from typing import Any

import mtf_synthesizer.runtime.compat

import mesh_tensorflow as mtf
from mesh_tensorflow.transformer import utils
from tensorflow.compat.v1 import estimator as tf_estimator

from mtf_synthesizer import errors
from mtf_synthesizer.config.request import Configuration
from mtf_synthesizer.files import new_folder, paths, saving
from mtf_synthesizer.inference import export_tokens, predict
from mtf_synthesizer.inference.export_modes import MODES, RECORD, Mode
from mtf_synthesizer.inference.report import versions
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.runtime import loading
from mtf_synthesizer.upstream import model, session, tasks, variables
from mtf_synthesizer.upstream.graph import bound
from mtf_synthesizer.upstream.vocabulary import describe

_SIGNATURE = "serving_default"


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """The form of a SavedModel.

    Attributes:
      mode: a name of `export_modes.MODES`.
      output: the new folder.
      tokens: whether it reads and writes ids, int32 [rows, tokens], without any operation of
        SentencePiece; nothing is added to what it reads, EOS included.
      batch_size: the most texts of a call; unless given, that of training.
      verbose: whether T5, Mesh and TensorFlow log.
    """

    mode: str
    output: str | os.PathLike[str]
    tokens: bool = False
    batch_size: int | None = None
    verbose: bool = False


def export(
    folder: ModelFolder, wanted: Configuration, checkpoint: Checkpoint, options: ExportOptions
) -> dict[str, Any]:
    """Write a SavedModel whose signature has strings as inputs, or token ids.

    Modes greedy and beam read `inputs` and give `inputs` and `outputs`, as they were understood
    and written; score reads `targets` and, but for language models, `inputs`, and gives `targets`
    and `scores`, the log-likelihood of each in nats. The folder is written under another name and
    renamed when it is complete.

    Args:
      folder: of the model.
      wanted: its configuration with that of the mode.
      checkpoint: one of its checkpoints.
      options: see above.

    Returns:
      What stands in assets.extra/mtf_synthesizer.json: mode, model_dir, step, checkpoint,
      batch_size, sequence_length, signature, inputs, outputs, tokens, vocabulary, versions.

    Raises:
      errors.UserError: the folder is there, or this type of model has no such mode.
    """
    mode, output, verbose = options.mode, options.output, options.verbose
    new_folder.check("--output", output)
    with session.configured(wanted, verbose), new_folder.create(output) as served:
        trained = session.build(folder.path)
        errors.check(
            f"type of model for --mode {mode}",
            trained.model_type,
            MODES[mode].token_model_types if options.tokens else MODES[mode].model_types,
        )
        tasks.check_vocabulary(tasks.configured_task(), folder.path)
        predict.bind_output_length(trained)
        rows = options.batch_size or trained.batch_size
        vocabulary = trained.vocabulary
        if options.tokens:
            trained = dataclasses.replace(trained, vocabulary=export_tokens.Ids.of(vocabulary))
        estimator = _Exporter(_estimator(folder, trained, MODES[mode], rows))
        # TensorFlow calls it an error that Mesh asserts something and does not use the assertion.
        with loading.without_messages(not verbose):
            if options.tokens:
                read = export_tokens.reader(
                    _features(trained, MODES[mode]), trained.sequence_length, rows
                )
                version = estimator.export_saved_model(str(served), read, checkpoint.path)
            else:
                version = utils.export_model(
                    estimator,
                    str(served),
                    vocabulary,
                    trained.sequence_length,
                    trained.model_type,
                    eval_with_score=MODES[mode].scores,
                    batch_size=rows,
                    checkpoint_path=checkpoint.path,
                )
            gc.collect()  # it says so when the assertion is forgotten
        _move_up(paths.of(version.decode()), served)
        record = {
            "mode": mode,
            "tokens": options.tokens,
            "model_dir": str(folder),
            "step": checkpoint.step,
            "checkpoint": checkpoint.fingerprint,
            "batch_size": rows,
            "sequence_length": trained.sequence_length,
            "signature": _SIGNATURE,
            "inputs": estimator.inputs,
            "outputs": estimator.outputs,
            "vocabulary": _described(vocabulary),
            "versions": versions(),
        }
        saving.write_json(served / "assets.extra" / RECORD, record)
    return record


def _features(trained: model.Model, mode: Mode) -> list[str]:
    """Features that the signature reads, as in T5's export."""
    if not mode.scores:
        return ["inputs"]
    return ["targets"] if trained.model_type == "lm" else ["inputs", "targets"]


def _move_up(version: paths.Path, folder: paths.Path) -> None:
    """Out of the sub-folder that is named by the time."""
    for name in [each.name for each in version.iterdir()]:
        (version / name).replace(folder / name)
    paths.remove_folder(version)


def _described(vocabulary: Any) -> dict[str, Any]:
    return {
        "inputs": describe(utils.inputs_vocabulary(vocabulary)),
        "targets": describe(utils.targets_vocabulary(vocabulary)),
    }


def _estimator(folder: ModelFolder, trained: model.Model, mode: Mode, batch_size: int) -> Any:
    """Mesh's Estimator, as T5's `MtfModel.export` makes it: no mesh, and no device by name."""
    return utils.get_estimator(
        model_type=trained.model_type,
        vocabulary=trained.vocabulary,
        mesh_shape=mtf.Shape([]),
        mesh_devices=None,
        layout_rules=mtf.convert_to_layout_rules(""),
        model_dir=str(folder),
        batch_size=batch_size,
        sequence_length=trained.sequence_length,
        autostack=True,
        learning_rate_schedule=None,
        keep_checkpoint_max=None,
        save_checkpoints_steps=None,
        optimizer=None,
        predict_fn=None if mode.scores else bound("run.predict_fn", None),
        variable_filter=None,
        ensemble_inputs=None,
        use_tpu=None,
        tpu_job_name=None,
        iterations_per_loop=1,
        cluster=None,
        score_in_predict_mode=mode.scores,
    )


class _Exporter:
    """The part of an Estimator that Mesh's export needs; results of a batch's padding are dropped.

    Mesh leaves the padding in the scores.

    Attributes:
      inputs, outputs: names of what the signature reads and gives.
    """

    def __init__(self, estimator: Any):
        self._estimator = estimator
        self.inputs: list[str] = []
        self.outputs: list[str] = []

    def export_saved_model(
        self, folder: str, serving_input_fn: Callable[[], Any], checkpoint_path: str
    ) -> bytes:
        def read() -> Any:
            receiver = serving_input_fn()
            self.inputs = sorted(receiver.receiver_tensors)
            return receiver

        def model_fn(features: dict[str, Any], labels: Any, mode: str, config: Any) -> Any:
            count = features["predict_batch_size"]
            spec = self._estimator.model_fn(features, labels, mode, config)
            variables.check_variables(checkpoint_path)
            answers = {name: tensor[:count] for name, tensor in spec.predictions.items()}
            self.outputs = sorted(answers)
            return spec._replace(predictions=answers, export_outputs=_signature(answers))

        estimator = tf_estimator.Estimator(model_fn, config=self._estimator.config)
        made: bytes = estimator.export_saved_model(folder, read, checkpoint_path=checkpoint_path)
        return made


def _signature(answers: Mapping[str, Any]) -> dict[str, Any]:
    return {_SIGNATURE: tf_estimator.export.PredictOutput(answers)}
