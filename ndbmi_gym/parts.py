"""One way to choose every part of an environment, and to write the choice down.

A part (field, perturbation, cortex, plant, task, policy) is given as

* a name that its registry knows, ``"dipole"``;
* a mapping with that name under ``"kind"`` and options, ``{"kind": "dipole", "sigma": 5}``;
* ``"module:attribute"``, as the name or as the kind: a class is made with the options, anything
  else is the part itself and takes none. So one's own part reaches the command line, worker
  processes and ``spec.to_json()``;
* an object that is such a part already.

A package of one's own adds a name by ``ndbmi_gym.fields.FIELDS.register("mine", Mine)``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from importlib import import_module
from numbers import Integral, Real
from os import PathLike, fsdecode
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from ndbmi_gym.checks import RuleError, options_of, shown

P = TypeVar("P")


class Choice(NamedTuple):
    """A part that was chosen, before it is made.

    Attributes
    ----------
    word : str
        What kind of part it is, for messages.
    kind : str
        Its name, ``"module:attribute"``, or "" for an object.
    make : type, callable or object
        What makes the part from options; the part itself if `made`.
    options : dict
    made : bool
        Whether `make` is the part itself.
    """

    word: str
    kind: str
    make: Any
    options: dict[str, Any]
    made: bool

    @property
    def known(self) -> tuple[str, ...]:
        """Names of the options that the part has."""
        if self.made and not is_dataclass(self.make):
            return ()
        return tuple(option.name for option in options_of(self.make))

    def having(self, options: Mapping[str, Any]) -> "Choice":
        """The same part with more or other options."""
        return self._replace(options=self.options | dict(options))

    def part(self) -> Any:
        """Make the part.

        Raises
        ------
        ValueError
            If the part does not have an option, or refuses a value.
        """
        name = self.kind or type(self.make).__name__
        unknown = [option for option in self.options if option not in self.known]
        if unknown:
            has = ", ".join(self.known) or "none"
            raise ValueError(
                f"the {self.word} {name!r} has no option {unknown[0]!r}: its options are {has}"
            )
        if self.made:
            return replace(self.make, **self.options) if self.options else self.make
        try:
            return self.make(**self.options)
        except TypeError as error:
            raise ValueError(
                f"{self.word} {name!r}: {error}; its options are {', '.join(self.known)}"
            ) from error


class Registry(Mapping[str, Callable[..., P]], Generic[P]):
    """The parts of one kind by name.

    Parameters
    ----------
    word : str
        What they are, for messages.
    needs : tuple of str
        What an object must have to be such a part; ``"__call__"`` for a callable.
    parts : mapping
        What makes each from keyword arguments: a class or a function, or its
        ``"module:attribute"``, which is imported when it is asked for.
    """

    def __init__(
        self, word: str, needs: Sequence[str], parts: Mapping[str, Callable[..., P] | str]
    ) -> None:
        self.word = word
        self.needs = tuple(needs)
        self._parts = dict(parts)

    def __getitem__(self, name: str) -> Callable[..., P]:
        part = self._parts[name]
        return attribute(part) if isinstance(part, str) else part

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def register(self, name: str, make: Callable[..., P] | str) -> None:
        """Add a part under a name of its own.

        Raises
        ------
        ValueError
            If the name is taken by another part, or is none.
        """
        if not (isinstance(name, str) and name.isidentifier()):
            raise ValueError(f"name = {shown(name)}: give letters, digits and underscores")
        if self._parts.get(name, make) != make:
            raise ValueError(f"there is a {self.word} {name!r} already: choose another name")
        self._parts[name] = make

    def choose(self, spec: Any, kind: str | None = None) -> Choice:
        """Find the part that a specification means.

        Parameters
        ----------
        spec : str, mapping or object
        kind : str, optional
            What a mapping without ``"kind"`` means.

        Raises
        ------
        ValueError
            If it means none.
        """
        if isinstance(spec, str | Mapping):
            options = dict(spec) if isinstance(spec, Mapping) else {"kind": spec}
            name = options.pop("kind", kind)
            if isinstance(name, str) and name in self._parts:
                return Choice(self.word, str(name), self[name], options, False)
            if isinstance(name, str) and ":" in name:
                found = attribute(name)
                return Choice(self.word, name, found, options, not isinstance(found, type))
            if not isinstance(name, str) or isinstance(spec, str) or kind != name:
                raise ValueError(f"unknown {self.word} {shown(spec)}: {self._rule}")
        elif not isinstance(spec, type) and self.fits(spec):
            return Choice(self.word, "", spec, {}, True)
        raise ValueError(f"{self.word} = {shown(spec)}: {self._rule}")

    def make(self, spec: Any, kind: str | None = None) -> P:
        """Make the part that a specification means."""
        return self.checked(self.choose(spec, kind).part())

    def checked(self, part: Any) -> Any:
        """A part, if it is one of this kind.

        Raises
        ------
        ValueError
            If it lacks what such parts have.
        """
        if not self.fits(part):
            lacking = ", ".join(name for name in self.needs if not hasattr(part, name))
            raise ValueError(
                f"{shown(part)} is no {self.word}, for it has no {lacking}: {self._rule}"
            )
        return part

    def fits(self, part: Any) -> bool:
        """Whether an object has what such parts have."""
        return all(hasattr(part, name) for name in self.needs)

    @property
    def _rule(self) -> str:
        return (
            f"choose one of {', '.join(self._parts)}, give a mapping with its 'kind' and options, "
            f"'module:attribute', or an object with {', '.join(self.needs)}"
        )


def attribute(name: str) -> Any:
    """What ``"module:attribute"`` names.

    Raises
    ------
    ValueError
        If there is no such module or attribute.
    """
    module, _, path = name.partition(":")
    try:
        found: Any = import_module(module)
        for step in path.split("."):
            found = getattr(found, step)
    except (ImportError, AttributeError, ValueError) as error:
        raise RuleError(
            f"{name!r}: {error}: give 'module:attribute', of a module that can be imported"
        ) from error
    return found


def plain(value: Any) -> Any:
    """A value in JSON types, from which the same environment can be made again.

    Raises
    ------
    ValueError
        If it holds an object that cannot be named.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, PathLike):
        return fsdecode(value)
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray) and not value.ndim:
        return plain(value[()])
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, bytes):
        return [plain(entry) for entry in value]
    return named(value)


def named(part: Any) -> Any:
    """``"module:attribute"`` of an object; of a dataclass, with its options as a mapping.

    Raises
    ------
    ValueError
        If no import leads back to it.
    """
    for owner in (part, type(part)):
        name = f"{getattr(owner, '__module__', '')}:{getattr(owner, '__qualname__', '')}"
        if "<" in name or name.startswith(":") or name.endswith(":"):
            continue
        try:
            if attribute(name) is not owner:
                continue
        except ValueError:
            continue
        if owner is part:
            return name
        if is_dataclass(part) and not _set_by_others(part):
            own = {option.name: getattr(part, option.name) for option in options_of(type(part))}
            return {"kind": name} | {key: plain(entry) for key, entry in own.items()}
    raise ValueError(
        f"{shown(part)} cannot be written down in the environment's spec: put it into a module and "
        "name it as 'module:attribute', or construct BMIEnv or BMIVectorEnv directly"
    )


def _set_by_others(part: Any) -> bool:
    """Whether a dataclass holds something that is none of its options."""
    options = {option.name for option in options_of(type(part))}
    return any(
        getattr(part, each.name) != each.default
        for each in fields(part)
        if each.init and each.name not in options
    )
