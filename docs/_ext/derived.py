"""What the site derives from the package: a directive for its tables, and the gallery's order."""

from typing import Any

import site_tables
import speed_tables
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

SCRIPTS = (
    "random_volition",
    "what_if",
    "stable_baselines",
    "her",
    "centre_out",
    "hidden_switch",
    "session",
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
    """``{derived} spaces ndbmi/ShiftTarget-v1``: what a function of one of the modules writes."""

    required_arguments = 1
    optional_arguments = 4

    def run(self) -> list[nodes.Node]:
        """Parse it as if it stood on the page."""
        name, *given = self.arguments
        module = site_tables if hasattr(site_tables, name) else speed_tables
        text = getattr(module, name)(*given)
        return [nodes.container("", *self.parse_text_to_nodes(text), classes=["derived", name])]


def without_markdown(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Leave a docstring in Gymnasium's manner (Markdown) to the pages of the environments."""
    if "## Description" in lines:
        lines[lines.index("## Description") :] = [
            "Spaces, rewards, starts, ends, info and options: :doc:`/environments/index`."
        ]


def without_aliases(
    app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out the fields of named tuples, which their class describes."""
    return True if (getattr(obj, "__doc__", "") or "").startswith("Alias for field") else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_directive("derived", Derived)
    app.connect("autodoc-process-docstring", without_markdown, priority=100)
    app.connect("autodoc-skip-member", without_aliases)
    return {"parallel_read_safe": True}
