"""`ndbmi-gym study adaptation`: whether volition adapts to a hidden force, and whether it shows."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ndbmi_gym.experiments.adaptation import protocols, summary
from ndbmi_gym.experiments.adaptation.protocols import DELAY_STEPS, PROTOCOLS, environment
from ndbmi_gym.experiments.adaptation.report import markdown
from ndbmi_gym.experiments.adaptation.runs import trials_of
from ndbmi_gym.experiments.adaptation.study_drawing import PICTURES
from ndbmi_gym.experiments.bench.drawing import DPI
from ndbmi_gym.experiments.bench.parallel import run_tasks
from ndbmi_gym.experiments.bench.tables import (
    Table,
    Tables,
    concatenate,
    labelled,
    load_tables,
    read_folder,
    save_tables,
    write_csv,
)
from ndbmi_gym.files import whole_file, write_json, write_text
from ndbmi_gym.observation import OBSERVATIONS
from ndbmi_gym.policies import LEARNERS, LookAhead
from ndbmi_gym.provenance import JSON, versions
from ndbmi_gym.rollout import Actor, as_actor, named

NEURAL = ("listener", "forgetful")
"""Learners that hear spikes; the others see the state."""


@dataclass(frozen=True)
class Case:
    """Sessions of one policy with one device.

    Attributes
    ----------
    policy : str
        Of `ndbmi_gym.policies.LEARNERS`, or ``"module:attribute"``.
    protocol : str
    device : str
    delay_steps : int
    observe : str
    sessions : int
        Of each animal.
    """

    policy: str
    protocol: str = "adaptation"
    device: str = "point mass"
    delay_steps: int = DELAY_STEPS
    observe: str = "state"
    sessions: int = 1

    @property
    def labels(self) -> dict[str, Any]:
        """What tells its rows from those of others."""
        return {"policy": self.policy, "device": self.device, "delay": self.delay_steps}


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes
    ----------
    out : Path
        Folder of the results.
    animals : int
        Animals 0, 1, ....
    seed : int
        Of the sessions.
    jobs : int
        Processes.
    quick : bool
        Whether only `adaptation` is run, with the point mass.
    policies : tuple of str
        Further ones, ``"module:attribute"``, that see what `observe` says.
    observe : str

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    out: Path
    animals: int = 10
    seed: int = 0
    jobs: int = 1
    quick: bool = False
    policies: tuple[str, ...] = ()
    observe: str = "state"

    def __post_init__(self) -> None:
        for name, least in (("animals", 2), ("seed", 0), ("jobs", 1)):
            value = getattr(self, name)
            if value < least:
                raise ValueError(f"{name} {value}: give at least {least}")
        if self.observe not in OBSERVATIONS:
            raise ValueError(f"observe {self.observe!r}: choose one of {', '.join(OBSERVATIONS)}")
        for policy in self.policies:
            named(policy)  # raises unless it can be imported

    def cases(self) -> list[Case]:
        """All cases, the scored sessions first."""
        seeing = [name for name in LEARNERS if name not in NEURAL]
        heard = Case("listener", observe="neural")
        made = [*map(Case, seeing), heard]
        made += [Case(name, observe=self.observe) for name in self.policies]
        if self.quick:
            return made
        made += [replace(heard, policy="forgetful")]
        for device in ("arm", "circuit"):
            made += [replace(case, device=device) for case in (*map(Case, seeing), heard)]
        made += [Case(name, delay_steps=0) for name in seeing]
        for protocol in list(PROTOCOLS)[1:]:
            made += [replace(case, protocol=protocol) for case in (*map(Case, seeing), heard)]
            made += [Case(name, protocol, observe=self.observe) for name in self.policies]
        return made

    def header(self, case: Case) -> JSON:
        """What the trials of a case depend on."""
        return asdict(case) | {
            "animals": self.animals,
            "seed": self.seed,
            "protocol": asdict(PROTOCOLS[case.protocol]),
            "versions": versions(stage=f"{protocols.__package__}.runs"),
        }

    def part(self, case: Case) -> Path:
        """File of the trials of a case."""
        words = (case.device, str(case.delay_steps), case.protocol, case.policy)
        return self.out / "parts" / ("-".join(words).replace(" ", "_").replace(":", "_") + ".npz")

    def load(self, case: Case) -> Table | None:
        """The trials of a case, if they are there."""
        found = load_tables(self.part(case), self.header(case))
        return None if found is None else found["trials"]


def run(plan: Plan) -> str:
    """Play all cases, and write tables, pictures and ``study.md``.

    What is measured is kept: an interrupted study goes on.

    Returns
    -------
    str
        The summary, in Markdown.
    """
    begun, cases = time.monotonic(), plan.cases()
    missing = [case for case in cases if plan.load(case) is None]
    devices = {str(_brain(case.device)): case.device for case in missing if case.policy in LEARNERS}
    list(run_tasks(_tabulate, [(plan, device) for device in devices.values()], plan.jobs))
    with tqdm(total=len(missing), desc="policies x protocols", disable=not missing) as bar:
        for _ in run_tasks(_play, [(plan, case) for case in missing], plan.jobs):
            bar.update()
    played: dict[tuple[Any, ...], Tables] = {}
    for case in cases:
        trials = plan.load(case)
        assert trials is not None, case
        played.setdefault(tuple(case.labels.items()), {})[case.protocol] = trials
    write(plan.out, [(dict(key), tables) for key, tables in played.items()])
    write_json(
        plan.out / "parameters.json",
        {
            "animals": plan.animals,
            "seed": plan.seed,
            "cases": [asdict(case) for case in cases],
            "protocols": {name: asdict(protocol) for name, protocol in PROTOCOLS.items()},
            "versions": versions(stage=__name__),
        },
    )
    if missing:
        print(f"{len(missing)} cases in {time.monotonic() - begun:.0f} s, {plan.jobs} job(s)")
    return redraw(plan.out)


def write(out: Path, played: Sequence[tuple[dict[str, Any], Tables]]) -> None:
    """Write the curves and effects of policies, each with its labels and the trials by protocol."""
    effects, curves = [], []
    for labels, tables in played:
        effects.append(labelled(summary.effects(tables), **labels))
        curves += [
            labelled(summary.curves(name, trials), **labels) for name, trials in tables.items()
        ]
    write_csv(out / "effects.csv", concatenate(effects))
    write_csv(out / "curves.csv", concatenate(curves))


def add(out: Path, labels: dict[str, Any], tables: Tables) -> str:
    """Put a further policy into the study in a folder, in place of what it had of it.

    Parameters
    ----------
    out : Path
        Of a study, or empty.
    labels : dict
        ``policy``, ``device`` and ``delay``, as of `Case.labels`.
    tables : Tables
        Of `ndbmi_gym.experiments.adaptation.runs.study_of`; with a column ``run``, of several
        training runs.

    Returns
    -------
    str
        The summary, in Markdown.
    """
    made = {
        "effects": labelled(summary.effects(tables), **labels),
        "curves": concatenate(
            labelled(summary.curves(name, trials), **labels) for name, trials in tables.items()
        ),
    }
    present = read_folder(out)
    for name, new in made.items():
        parts = [new]
        if name in present:
            old = present[name]
            same = np.all([old[key] == value for key, value in labels.items()], axis=0)
            parts = [{key: column[~same] for key, column in old.items()}, new]
        write_csv(out / f"{name}.csv", concatenate(parts))
    return redraw(out)


def redraw(out: Path) -> str:
    """Write pictures and ``study.md`` from the tables in a folder; return the latter.

    Raises
    ------
    ValueError
        If the tables are not there.
    """
    tables = read_folder(out)
    if not {"effects", "curves"} <= set(tables):
        raise ValueError(
            f"{out} holds no tables of the study: measure them first, without --redraw"
        )
    told = set(tables["effects"]["effect"].tolist())
    for name, draw in PICTURES.items():
        if name == "transfer" and "savings: first" not in told:
            continue  # --quick measures nothing of it
        with whole_file(out / f"{name}.png") as part:
            draw(tables).savefig(part, dpi=DPI)
    text = markdown(tables)
    write_text(out / "study.md", text + "\n")
    return text


def _tabulate(plan: Plan, device: str) -> None:
    """Keep what the learners' candidates do, which takes long to find out."""
    header = _tables_header(plan, device)
    if load_tables(_tables_file(plan, device), header) is None:
        env = environment(PROTOCOLS["adaptation"], device, plan.animals, 1, "state")
        made = {
            f"{animal}": dict(zip(_NAMES, table, strict=True))
            for animal, table in enumerate(LookAhead(env).tables)
        }
        save_tables(_tables_file(plan, device), header, made)


_NAMES = ("volition", "mean", "variance")


def _brain(device: str) -> dict[str, Any]:
    """What forces depend on: the options of a device but for the plant."""
    return {name: value for name, value in protocols.DEVICES[device].items() if name != "plant"}


def _tables_header(plan: Plan, device: str) -> JSON:
    made_by = {"animals": plan.animals, "versions": versions(stage=LookAhead.__module__)}
    return _brain(device) | made_by


def _tables_file(plan: Plan, device: str) -> Path:
    first = next(each for each in protocols.DEVICES if _brain(each) == _brain(device))
    return plan.out / "parts" / f"candidates-{first.replace(' ', '_')}.npz"


def _play(plan: Plan, case: Case) -> None:
    protocol = PROTOCOLS[case.protocol]
    env = environment(
        protocol, case.device, plan.animals, case.sessions, case.observe, case.delay_steps
    )
    if case.policy in LEARNERS:
        kept = load_tables(_tables_file(plan, case.device), _tables_header(plan, case.device))
        assert kept is not None, case.device
        found = [kept[f"{animal}"] for animal in range(plan.animals)]
        actor: Actor = LEARNERS[case.policy](
            env, tables=[tuple(t[n] for n in _NAMES) for t in found]
        )
    else:
        actor = as_actor(case.policy, env)
    trials = trials_of(env, protocol, actor, case.sessions, plan.seed)
    save_tables(plan.part(case), plan.header(case), {"trials": trials})
