"""What to say where a drawing package is missing."""

from importlib import import_module

from gymnasium.error import DependencyNotInstalled


def require(module: str, package: str = "") -> None:
    """Import a module that comes with the extra ``render``.

    Parameters
    ----------
    module : str
    package : str
        What it is installed as, if that is another name.

    Raises
    ------
    gymnasium.error.DependencyNotInstalled
        If it is missing.
    """
    try:
        import_module(module)
    except ImportError as error:
        raise DependencyNotInstalled(
            f'rendering needs {package or module}: run `pip install "ndbmi-gym[render]"`'
        ) from error
