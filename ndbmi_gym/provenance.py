"""What made a result: versions, and a digest of the source that a stage depends on."""

import ast
import platform
from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

JSON = dict[str, Any]

_PACKAGE = __name__.partition(".")[0]
_PACKAGES = ("ndbmi-gym", "numpy", "scipy", "numba")
"""What all results depend on."""

DRAWING = "drawing"
"""End of the names of modules that draw what was measured and measure nothing."""


def versions(*packages: str, stage: str | None = None) -> dict[str, str]:
    """Versions of Python and of the packages that results depend on, and a digest of our source.

    Parameters
    ----------
    *packages : str
        Further packages; one that is not there is said to be "not installed".
    stage : str, optional
        A module of this package: the digest is of what it depends on (`dependencies`). By default
        it is of everything.
    """
    found = {"python": platform.python_version()}
    for package in (*_PACKAGES, *packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found | {"source": source_digest(stage)}


def source_digest(stage: str | None = None) -> str:
    """Digest of the source of a stage, or of the whole package; comments do not count."""
    modules = _modules() if stage is None else dependencies(stage)
    digest = sha256()
    for module in sorted(modules):
        digest.update(module.encode() + _meaning(module))
    return digest.hexdigest()[:16]


@cache
def dependencies(stage: str) -> frozenset[str]:
    """The modules of this package that a module imports, directly or through others, and itself.

    Imports within functions count; those for type checkers alone do not. A string that names one of
    the package's modules counts as an import of it, since that is how parts are looked up by name.
    Modules whose names end with "drawing" measure nothing, and are left out with all that only they
    import.

    Raises
    ------
    ValueError
        If there is no such module.
    """
    if stage not in _modules():
        raise ValueError(f"stage {stage!r}: give a module of {_PACKAGE}")
    found: set[str] = set()
    waiting = {stage}
    while waiting:
        module = waiting.pop()
        found.add(module)
        packages = {name for name in _modules() if module.startswith(f"{name}.")}
        used = imports(module) | _known(_named(module)) | packages
        waiting |= {name for name in used if not name.endswith(DRAWING)} - found
    return frozenset(found)


@cache
def imports(module: str) -> frozenset[str]:
    """The modules of this package that a module imports itself."""
    return frozenset(_known(_imported(_tree(module), module))) - {module}


def _imported(tree: ast.AST, module: str) -> Iterator[str]:
    """Names that are imported, of which some may be modules."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module)
            yield from (base, *(f"{base}.{alias.name}" for alias in node.names))
        else:
            yield from _imported(node, module)


def _named(module: str) -> Iterator[str]:
    """Modules that a module has in strings, as "module:attribute" or alone."""
    if module == _PACKAGE:  # entry points of Gymnasium, looked up by nothing here
        return
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.partition(":")[0]


def _known(names: Iterable[str]) -> set[str]:
    return {name for name in names if name in _modules()}


def _absolute(node: ast.ImportFrom, module: str) -> str:
    if not node.level:
        return node.module or ""
    is_package = _modules()[module].name == "__init__.py"
    parts = module.split(".")
    base = parts[: len(parts) - node.level + is_package]
    return ".".join([*base, *([node.module] if node.module else [])])


@cache
def _modules() -> dict[str, Path]:
    """Files of the package's modules by name."""
    spec = find_spec(_PACKAGE)
    assert spec is not None, _PACKAGE
    assert spec.origin is not None, _PACKAGE
    root = Path(spec.origin).parent
    files = {}
    for path in sorted(root.rglob("*.py")):
        parts = (_PACKAGE, *path.relative_to(root).with_suffix("").parts)
        files[".".join(parts).removesuffix(".__init__")] = path
    return files


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_modules()[module].read_bytes())


@cache
def _meaning(module: str) -> bytes:
    """A module's source without comments and layout."""
    return ast.dump(_tree(module)).encode()
