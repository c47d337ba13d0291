"""Access of tensorflow_datasets to every file system that TensorFlow knows.

tensorflow_datasets uses etils' epath, which reads gs:// and s3:// through TensorFlow and refuses
other schemes.
"""

from etils.epath import backend, gpath, register

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths


def make_known(folder: str) -> None:
    """Add the scheme of a folder to epath, unless epath knows it or the folder is local.

    Raises:
      errors.UserError: the installed release of etils stores its schemes elsewhere.
    """
    scheme = folder.partition("://")[0]
    prefix = f"{scheme}://"
    if not paths.is_remote(folder) or prefix in gpath._URI_PREFIXES:
        return
    try:
        gpath._URI_MAP_ROOT[prefix] = f"/{scheme}/"
        gpath._PREFIX_TO_BACKEND[scheme] = backend.tf_backend
        gpath._URI_SCHEMES |= {scheme}
        gpath._URI_PREFIXES += (prefix,)
        register.register_path_cls(prefix)(gpath.PosixGPath)
    except (AttributeError, TypeError) as error:
        raise errors.UserError(
            f"--tfds_data_dir {folder}: tensorflow_datasets can't read {prefix} here ({error}). "
            "Give a folder on this machine, gs:// or s3://"
        ) from error
