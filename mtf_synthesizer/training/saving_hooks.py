"""Hooks whose files are complete or absent, even if the training is killed."""

from collections.abc import Container
from typing import Any

import mtf_synthesizer.runtime.compat

import gin.tf
import tensorflow.compat.v1 as tf

from mtf_synthesizer.files import paths
from mtf_synthesizer.model_folder.checkpoints import OPERATIVE_CONFIG
from mtf_synthesizer.model_folder.folder import ModelFolder


def hook(
    of_mesh: tf.train.SessionRunHook, folder: ModelFolder, begun: int
) -> tf.train.SessionRunHook:
    """Return Mesh's hook, or its replacement that leaves no half-written files.

    Args:
      of_mesh: Mesh's hook.
      folder: folder of the model.
      begun: step of the checkpoint that the run began with; 0 without one.
    """
    if isinstance(of_mesh, gin.tf.GinConfigSaverHook):
        return ConfigurationHook(folder.path)
    if isinstance(of_mesh, tf.train.CheckpointSaverHook):
        return SavingHook(of_mesh, [checkpoint.step for checkpoint in folder.checkpoints], begun)
    return of_mesh


class SavingHook(tf.train.CheckpointSaverHook):
    """Save as Mesh's hook does, without what a run does not need.

    On resume the Estimator rewrites the checkpoint it just restored. A crash or a full disk would
    then destroy the checkpoint, so that save is skipped. Nothing reads graph.pbtxt and the .meta
    files, and for a small model writing them takes longer than the first steps, so they are
    skipped too.

    A run that was stopped between two saves saves at the same steps as a run without the stop.

    Args:
      mesh: Mesh's hook.
      saved: steps of existing checkpoints.
      begun: step of the checkpoint that the run began with; 0 without one.
    """

    def __init__(self, mesh: tf.train.CheckpointSaverHook, saved: Container[int], begun: int):
        self._saved, self._begun = saved, begun
        super().__init__(
            mesh._checkpoint_dir,
            save_steps=mesh._timer._every_steps,
            saver=mesh._saver,
            listeners=mesh._listeners,
            save_graph_def=False,
        )

    def after_create_session(self, session: Any, coord: Any) -> None:
        step = session.run(self._global_step_tensor)
        if step not in self._saved:
            super().after_create_session(session, coord)
            return
        for listener in self._listeners:
            listener.after_save(session, step)
        since = (step - self._begun) % (self._timer._every_steps or 1)
        self._timer.update_last_triggered_step(step - since)


class ConfigurationHook(gin.tf.GinConfigSaverHook):
    """A hook that writes operative_config.gin, which is complete or absent.

    Args:
      folder: folder of the model.
    """

    def __init__(self, folder: paths.Path):
        super().__init__(str(folder), include_step_in_filename=True)
        self._folder = folder

    def after_create_session(self, session: Any = None, coord: Any = None) -> None:
        super().after_create_session(session, coord)
        step = session.run(tf.train.get_global_step())
        (self._folder / f"operative_config-{step}.gin").replace(self._folder / OPERATIVE_CONFIG)
