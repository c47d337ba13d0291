"""Where tasks read their data: the folder of --tfds_data_dir, or that of tensorflow_datasets."""

import mtf_synthesizer.compat  # noqa: F401  isort: skip  # before seqio

import seqio
import tensorflow_datasets as tfds
from tensorflow_datasets.core.utils import gcs_utils

from mtf_synthesizer import names


def read_from(folder: str | None) -> None:
    """Lets all tasks read prepared data from a folder; None is the usual place.

    Of a folder nothing is looked up on a server: seqio tries that first, which takes time without
    a network and, with one, fails for data sets that are there ("Cannot have both `try_gcs=True`
    and `data_dir`").
    """
    seqio.set_tfds_data_dir_override(folder)
    gcs_utils._is_gcs_disabled = folder is not None
    # The setting above reaches only tasks that were not used before.
    for name in seqio.TaskRegistry.names():
        source = seqio.TaskRegistry.get(name).source
        if isinstance(source, seqio.TfdsDataSource):
            source.tfds_dataset.override_data_dir(folder)


def check(task: str) -> None:
    """Raises a UserError unless the folder has all data sets of a task or mixture.

    Nothing is checked without a folder: tensorflow_datasets then downloads what it lacks.
    """
    found = [each.source for each in seqio.get_subtasks(seqio.get_mixture_or_task(task))]
    loaders = [each.tfds_dataset for each in found if isinstance(each, seqio.TfdsDataSource)]
    lacking = sorted(
        {each.name for each in loaders if each.data_dir and not _is_there(each.data_dir, each.name)}
    )
    if lacking:
        raise names.UserError(
            f"{task} needs data that is not in --tfds_data_dir {loaders[0].data_dir}: "
            f"{', '.join(lacking)}. Add it with `mtf_synthesizer data prepare`"
        )


def _is_there(folder: str, tfds_name: str) -> bool:
    return tfds.core.Path(folder, tfds_name.replace(":", "/"), "dataset_info.json").exists()
