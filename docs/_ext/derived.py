"""What the site derives from the package: a directive for its tables, and the gallery's order."""

from typing import Any

import site_tables
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

SCRIPTS = (
    "random_volition",
    "what_if",
    "stable_baselines",
    "centre_out",
    "hidden_switch",
    "own_field",
    "own_task",
    "own_cortex",
    "circuit",
)
"""The scripts under ``examples/`` in the order in which they are best read; others follow."""


class LearningOrder:
    """Where a script stands in the gallery."""

    def __init__(self, source: str) -> None:
        self.source = source

    def __call__(self, file: str) -> tuple[int, str]:
        """A key to sort by."""
        name = file.removesuffix(".py")
        return SCRIPTS.index(name) if name in SCRIPTS else len(SCRIPTS), name


class Derived(SphinxDirective):
    """``{derived} spaces ndbmi/ShiftTarget-v0``: what a function of `site_tables` writes."""

    required_arguments = 1
    optional_arguments = 4

    def run(self) -> list[nodes.Node]:
        """Parse it as if it stood on the page."""
        name, *given = self.arguments
        return self.parse_text_to_nodes(
            getattr(site_tables, name)(*given), allow_section_headings=True
        )


def without_markdown(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Leave a docstring in Gymnasium's manner (Markdown) to the pages of the environments."""
    if "## Description" in lines:
        lines[lines.index("## Description") :] = [
            "Spaces, rewards, starts, ends, info and options: :doc:`/environments/index`."
        ]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_directive("derived", Derived)
    app.connect("autodoc-process-docstring", without_markdown, priority=100)
    return {"parallel_read_safe": True}
