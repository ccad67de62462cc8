"""The documentation site: ``sphinx-build -W --keep-going -b html docs docs/_build/html``.

Everything is built from the checkout, and nothing is fetched: no inventories of other projects
while it is built, no fonts or scripts from elsewhere when it is read.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_ext")]
os.environ["PYTHONPATH"] = str(ROOT)  # for what examples start
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

import ndbmi_gym  # noqa: E402

project = "ndbmi_gym"
author = "the ndbmi_gym developers"
copyright = "the ndbmi_gym developers, MIT licence"
version = release = ndbmi_gym.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "sphinx_copybutton",
    "derived",
]
exclude_patterns = [
    "_build",
    "gallery/*.ipynb",
    # tables without a title, which pages of studies/ include
    "adaptation/study.md",
    "circuit/study/study.md",
    "recovery/readings.md",
    "reproduction/claims.md",
]
templates_path = ["_templates"]
default_role = "py:obj"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autosummary_ignore_module_all = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say what is taken, in words and shapes
numpydoc_show_class_members = False
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    # training is shown, but takes too long to be run while the site is built
    "filename_pattern": r"/(?!centre_out|her|stable_baselines)\w+\.py$",
    "within_subsection_order": "derived.LearningOrder",
    "default_thumb_file": str(ROOT / "docs" / "trajectories.png"),
    "download_all_examples": False,
    "write_computation_times": False,
    "show_signature": False,
    "plot_gallery": "True",
}

html_theme = "furo"
html_title = f"ndbmi_gym {release}"
html_static_path = ["_static"]
pygments_dark_style = "monokai"
html_css_files = ["site.css"]
html_theme_options = {"top_of_page_buttons": []}
html_show_sphinx = html_copy_source = False
copybutton_exclude = ".linenos, .gp, .go"
