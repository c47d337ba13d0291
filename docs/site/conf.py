"""Sphinx's configuration: pages that `pages.py` gathered, API from reading the sources."""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

project = "mtf_synthesizer"
author = "the authors of mtf_synthesizer"
extensions = ["myst_parser", "autoapi.extension", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = project
root_doc = "index"
# Titles become link targets, as on a page that is read unbuilt.
myst_heading_anchors = 4

# The sources are parsed, never imported: TensorFlow is not installed for the site.
autoapi_dirs = [str(ROOT / "mtf_synthesizer")]
autoapi_root = "api"
autoapi_options = ["members", "show-module-summary"]
autoapi_ignore = ["*/modeling_synthesizer.py"]  # comes along with exported models
autoapi_add_toctree_entry = False
autoapi_python_class_content = "class"
autoapi_keep_files = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# Type hints name classes whose attributes share names; the links would be guesses.
suppress_warnings = ["autoapi.python_import_resolution", "ref.python"]
