"""Tables of the documentation, as Markdown, from registry, declarations, docstrings and results."""

import csv
import inspect
import json
import re
import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import ndbmi_gym  # noqa: F401 (registers the ids)
from ndbmi_gym.config import option_tables
from ndbmi_gym.envs.scalar import BMIEnv
from ndbmi_gym.fields import obstacles_of
from ndbmi_gym.observation import OBSERVATIONS
from ndbmi_gym.policies import pretrained

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "agents" / "results"
BENCHMARK = RESULTS / "benchmark"
ENGINES = ("python", "numpy", "torch")
"""Versions that the benchmark's page tells; the files of its runs have all."""

EXTRAS = {
    "none": "all environments, baseline policies and trained agents",
    "render": "pictures, the window, films, `ndbmi-gym watch`",
    "sb3": "training; the folder `agents/` of a checkout",
    "reproduce": "`ndbmi-gym reproduce`, `ndbmi-gym circuit`",
    "recover": "`ndbmi-gym recover`, `ndbmi-gym readings`, `agents.sweep`",
    "minari": "trials as an offline data set",
    "docs": "building this site",
    "test": "the tests",
    "speed": "speed beside MuJoCo",
}
"""What each extra of the package is for."""
POLICIES = {
    "zero": "zero volition (floor)",
    "eq24": "Eq 24, the paper's command",
    "greedy": "greedy look-ahead",
    "filter": "particle filter",
    "ceiling": "ceiling",
}
BENCHMARKED = POLICIES | {"random": "random volition"}


def ids() -> str:
    """Every registered id: its page, parts, reward and step limit."""
    rows = []
    for spec in _specs():
        env = _made(spec.id)
        config, given = env.unwrapped.episodes.config, dict(spec.kwargs)
        rows.append(
            (
                f"[`{spec.id}`]({_page(spec.id)})",
                f"`{given.pop('task')}`",
                _end(config.task),
                _limit(spec, config),
                _keywords(given) or "–",
            )
        )
    heads = ("id", "task", "a trial ends", "step limit", "what else it sets")
    return table(heads, rows)


def spaces(env_id: str) -> str:
    """Action space, observation spaces and limits of an id."""
    spec, env = gymnasium.spec(env_id), _made(env_id)
    config, rows = env.unwrapped.episodes.config, []
    for observe in OBSERVATIONS:
        name = f'observation space, `observe="{observe}"`'
        space = _space(_made(env_id, observe=observe).observation_space)
        default = " (default)" if observe == config.observation.observe else ""
        rows.append((name + default, f"`{space}`"))
    rows += [
        ("step limit", f"{_limit(spec, config)} steps of {config.plant.step_s:g} s"),
        ("scalar", f'`gymnasium.make("{env_id}")`'),
        ("native vector", f'`gymnasium.make_vec("{env_id}", num_envs=256)`'),
    ]
    return table(("action space", f"`{_box(env.action_space)}`"), rows)


def observed(env_id: str) -> str:
    """The entries of an observation, their units and bounds, and who sees them."""
    layouts = {
        observe: _made(env_id, observe=observe).unwrapped.episodes.layout
        for observe in OBSERVATIONS
    }
    full, goals = layouts["full"], _goals(env_id)
    units = {"counts": "spikes", "position": "cm", "velocity": "cm/s", "action": "", "target": "cm"}
    rows = []
    for name, where in full.columns.items():
        if name == "target" and goals:
            continue
        low, high = full.bounds[:, where]
        unit = f"{full.scales[name]:.3g} {units[name]}" if units[name] else ""
        seen = ["yes" if name in layouts[observe].columns else "" for observe in OBSERVATIONS]
        rows.append(
            (name, where.stop - where.start, unit, f"{low.min():.3g}", f"{high.max():.3g}", *seen)
        )
    for name, space in goals.items():
        (low,), (high,) = set(space.low), set(space.high)
        every = ["yes"] * len(OBSERVATIONS)
        rows.append((f"`{name}`", *space.shape, "1 cm", f"{low:.3g}", f"{high:.3g}", *every))
    return table(("quantity", "entries", "unit", "low", "high", *OBSERVATIONS), rows)


def parts(env_id: str) -> str:
    """The parts that an id is made of, with the values of their options."""
    config = _made(env_id).unwrapped.episodes.config
    rows = []
    for name, chosen in config.choices.items():
        part = getattr(config, name)
        values = {option: getattr(part, option) for option in _names(name, chosen.kind)}
        kind = "" if chosen.kind == name else f"`{chosen.kind}`"
        rows.append((f"[{name}](options.md#{name})", kind, _keywords(values)))
    return table(("part", "kind", "its options"), rows)


def options(part: str) -> str:
    """The options of every kind of a part."""
    kinds, alike = option_tables()[part], dict[tuple[str, ...], list[str]]()
    for kind, each in kinds.items():
        alike.setdefault(tuple(option.name for option in each), []).append(kind)
    written = []
    for members in alike.values():  # those of one table differ in defaults alone
        if len(kinds) > 1:
            written += [", ".join(f'**`{part}="{kind}"`**' for kind in members), ""]
        heads = [f'`"{kind}"`' for kind in members] if len(members) > 1 else ["default"]
        rows: list[Sequence[Any]] = [
            (f"`{same[0].name}`", *(_value(each.default) for each in same), _described(same[0]))
            for same in zip(*(kinds[kind] for kind in members), strict=True)
        ]
        written += [table(("option", *heads, "meaning"), rows), ""]
    return "\n".join(written)


def docstring(*section: str) -> str:
    """A section of the environment's docstring, which is Markdown."""
    text = inspect.getdoc(BMIEnv) or ""
    title = " ".join(section)
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    if not found:
        raise ValueError(f"section {title!r}: BMIEnv's docstring has none of that name")
    return found[1].replace("``", "`")


def scores(env_id: str) -> str:
    """What `agents.evaluate` found, a table for each file of results."""
    written = []
    for path in sorted(RESULTS.glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        if found.get("env") != env_id:
            continue
        share = found["score"].startswith("share")
        rows = [
            (
                POLICIES.get(row["policy"], f"**{row['policy']}**"),
                f"{row['runs']} × {row['trials']:,}",
                _interval(row["score"], 3 if share else 1),
                _interval(row["success"], 3),
                _interval(row["normalised"], 2),
                _interval(row["normalised_return"], 2),
                _interval(row["effort"], 2),
            )
            for row in found["table"]
        ]
        animals = found["settings"]["animals"] or [found["options"].get("animal", 0)]
        whose = "animal" if len(animals) == 1 else "animals"
        made = gymnasium.spec(env_id).kwargs | found["options"]
        observe = made.get("observe", OBSERVATIONS[0])
        heads = ("success", "normalised score", "normalised return", "effort")
        written += [
            table(("policy", "runs × trials", found["score"], *heads), rows),
            "",
            f'`observe="{observe}"`, {whose} {", ".join(map(str, animals))}; [95 % '
            f"intervals](/agents.md#intervals) in brackets (`agents/results/{path.name}`).",
            "",
        ]
    return "\n".join(written)


def shipped() -> str:
    """The trained agents that come with the package, and what they scored."""
    rows, agents = [], pretrained.shipped()
    for env_id, each in agents.items():
        hyper = each["about"]["hyperparams"]
        frames = hyper.get("frame_stack", 1)
        rows.append(
            (
                f"`{env_id}`",
                each["about"]["algo"] + (f", {frames} frames" if frames > 1 else ""),
                f"{each['about']['seconds'] / 60:.1f}",
                str(each["selected"]["agents"]),
                _interval(each["score"], 3 if each["score"][0] <= 1 else 1),
                _interval(each["success"], 3),
                _interval(each["normalised"], 2),
                _interval(each["normalised_return"], 2),
            )
        )
    heads = ("environment", "algorithm", "minutes", "best of", "score", "success")
    return table((*heads, "normalised score", "normalised return"), rows)


def suites() -> str:
    """The suites of the benchmark, from their declarations."""
    rows = []
    for path in sorted((ROOT / "agents" / "suites").glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        names = ", ".join(f"`{name}`" for name in found["tasks"])
        agents = found.get("agents", {})
        learned = [name for name, each in agents.items() if isinstance(each, dict)]
        rows.append(
            (
                f"`{path.stem}`",
                found["about"],
                names,
                ", ".join(learned) or f"those of `{found['like']}`",
            )
        )
    return table(("suite", "what it asks", "tasks", "trained agents"), rows)


def leaderboard(suite: str) -> str:
    """The agents of a suite, the best first: what `agents.benchmark --report` found."""
    rows = [
        (
            BENCHMARKED.get(row["agent"], f"**{row['agent']}**"),
            row["tasks"],
            row["runs"],
            f"{float(row['minutes']):.1f}" if row["minutes"] else "–",
            *(_of_csv(row, name, 2) for name in ("score", "return", "improvement")),
        )
        for row in _benchmark(suite, "leaderboard")
    ]
    heads = (
        "tasks",
        "runs, at least",
        "minutes a run",
        "score, IQM",
        "return, IQM",
        "better than Eq 24",
    )
    return table(("agent", *heads), rows)


def benchmarked(suite: str) -> str:
    """Every agent on every task of a suite: what `agents.benchmark --report` found."""
    rows = []
    for row in _benchmark(suite, "tasks"):
        digits = 3 if row["measure"].startswith("share") else 1
        rows.append(
            (
                f"`{row['task']}`",
                BENCHMARKED.get(row["agent"], f"**{row['agent']}**"),
                f"{row['runs']} × {int(row['trials']):,}",
                _of_csv(row, "score", digits),
                _of_csv(row, "success", 3),
                _of_csv(row, "normalised score", 2),
                _of_csv(row, "normalised return", 2),
            )
        )
    heads = ("score", "success", "normalised score", "normalised return")
    return table(("task", "agent", "runs × trials", *heads), rows)


def effort(suite: str) -> str:
    """How long the training of a suite's agents took, and on what, from the files of its runs."""
    hours, steps, versions = dict[str, float](), dict[str, int](), set[str]()
    revisions, counts = set[str](), dict[str, int]()
    for path in sorted((BENCHMARK / suite).glob("*/*/[0-9]*.json")):
        run = json.loads(path.read_text(encoding="utf-8"))
        revisions.add(run["revision"][:8])
        versions.add(", ".join(f"{name} {run['versions'][name]}" for name in ENGINES))
        if "trained" not in run or not run["asked"]["at_home"]:
            continue
        agent = run["asked"]["agent"]
        hours[agent] = hours.get(agent, 0) + run["trained"]["cpu_seconds"] / 3600
        steps[agent] = steps.get(agent, 0) + run["trained"]["steps"]
        counts[agent] = counts.get(agent, 0) + 1
    rows = [
        (f"**{agent}**", n, f"{steps[agent] / n:,.0f}", f"{60 * hours[agent] / n:.1f}")
        for agent, n in sorted(counts.items())
    ]
    rows.append(("all", sum(counts.values()), "", f"{60 * sum(hours.values()):.0f} together"))
    made = f"Played with {'; '.join(sorted(versions))}, at revision {', '.join(sorted(revisions))}."
    heads = ("agent", "trained runs", "steps a run", "minutes of one core a run")
    return f"{table(heads, rows)}\n\n{made}"


def benchmark_coverage() -> str:
    """How often the benchmark's intervals hold the truth: `docs/benchmark_coverage.py`."""
    return coverage("benchmark_coverage")


def coverage(name: str = "interval_coverage") -> str:
    """How often intervals hold the truth: what a script of that name found."""
    found = json.loads((ROOT / "docs" / f"{name}.json").read_text(encoding="utf-8"))
    sizes = [
        n for n in ("3", "5", "10", "30") if any(n in row["coverage"] for row in found["rows"])
    ]
    rows = []
    for row in found["rows"]:
        cells = [f"{row['coverage'][n]:.2f}" if n in row["coverage"] else "" for n in sizes]
        rows.append((row["interval"], row["data"], *cells))
    return table(("interval", "data", *sizes), rows)


def late() -> str:
    """What late and noisy senses do: what `docs/senses/late.py` found."""
    with open(ROOT / "docs" / "senses" / "late.csv", encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    names = [name for name in found[0] if f"{name} sd" in found[0]]
    rows = [
        (
            row["delay_steps"],
            row["noise_cm"],
            *(f"{float(row[name]):.2f} ± {float(row[f'{name} sd']):.2f}" for name in names),
        )
        for row in found
    ]
    heads = ("converge", "wtpe, cm", "late steps inside", *names[3:])
    return table(("delay, steps", "noise, cm", *heads), rows)


def clients() -> str:
    """The libraries that have a page, side by side."""
    rows = [
        (
            f"[{row['library']}]({row['name']}.md)",
            f"`{row['entry point']}`",
            f"`{row['autoreset']}`",
            f"{int(row['steps/s']):,}",
            f"{float(row['return']):.2f}".replace("-", "−"),
            f"{float(row['success']):.2f}",
        )
        for row in _libraries().values()
    ]
    return table(
        ("library", "takes the batch by", "autoreset", "steps/s", "return", "success"), rows
    )


def client(name: str) -> str:
    """What a library's example printed in the run of the table of all libraries."""
    row = _libraries()[name]
    return (
        f"`python examples/clients/run.py {name}` makes an environment for it and runs the script. "
        f"In the run of the [table](index.md), with {row['library']}, it made "
        f"{int(row['steps/s']):,} steps/s and came to a return of {row['return']} and success in "
        f"{float(row['success']):.2f} of the trials."
    )


def hindsight() -> str:
    """How agents learn with hindsight replay and without: mean, and every seed."""
    with open(ROOT / "docs" / "clients" / "her.csv", encoding="utf-8", newline="") as file:
        found: dict[str, dict[int, list[float]]] = {}
        for row in csv.DictReader(file):
            learnt = found.setdefault(row["agent"], {})
            learnt.setdefault(int(row["steps"]), []).append(float(row["held"]))
    rows = [
        (
            agent,
            *(f"{np.mean(v):.2f} ({', '.join(f'{x:.2f}' for x in v)})" for v in learnt.values()),
        )
        for agent, learnt in found.items()
    ]
    steps = next(iter(found.values()))
    return table(("share of steps inside after", *(f"{each:,} steps" for each in steps)), rows)


def extras() -> str:
    """The package's extras, what they bring and what for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = project["optional-dependencies"]

    def named(requirements: list[str]) -> str:
        names = [re.split(r"[<>=!~ ]", each)[0] for each in requirements]
        return ", ".join(re.sub(r"ndbmi-gym\[(.*)\]", r"extra `\1`", name) for name in names)

    rows = [("none", named(project["dependencies"]), EXTRAS["none"])]
    rows += [(f"`{extra}`", named(brought), EXTRAS[extra]) for extra, brought in needed.items()]
    return table(("extra", "brings", "for"), rows)


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown; bars within a cell are escaped."""
    cells = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in cells
    )


def _libraries() -> dict[str, dict[str, str]]:
    with open(ROOT / "docs" / "clients" / "speed.csv", encoding="utf-8", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def _specs() -> list[Any]:
    return [spec for name, spec in gymnasium.registry.items() if name.startswith("ndbmi/")]


@cache
def _made(env_id: str, **options: Any) -> Any:
    return gymnasium.make(env_id, **options)


def _page(env_id: str) -> str:
    """The page of an id: ``ShiftTargetSOC-v1`` has ``shift_target_soc.md``."""
    name = env_id.removeprefix("ndbmi/").partition("-")[0]
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]+", name)
    return "_".join(words).lower() + ".md"


def _end(task: Any) -> str:
    within = f"within {task.radius_cm:g} cm of the target"
    if hasattr(task, "circle_cm"):
        within = "on the demanded circle at the demanded speed"
    if task.holds:
        return f"at the step limit ({within} is inside)"
    within += f" at {task.dwell} consecutive step ends" if task.dwell > 1 else ""
    return within + (", or on touching the obstacle" if obstacles_of(task) else "")


def _benchmark(suite: str, name: str) -> list[dict[str, str]]:
    path = BENCHMARK / suite / f"{name}.csv"
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _of_csv(row: dict[str, str], name: str, digits: int) -> str:
    """A mean and its interval, of which one or all may be empty."""
    ends = [float(row[each]) for each in (name, f"{name} low", f"{name} high") if row[each]]
    return _interval(ends or None, digits)


def _limit(spec: Any, config: Any) -> str:
    """Steps of an episode; of a session, those of its trials."""
    session = config.session
    if session.on:
        return f"{session.session_trials} trials of at most {session.trial_steps}"
    return str(spec.max_episode_steps)


def _goals(env_id: str) -> dict[str, Any]:
    """Spaces that a goal environment shows beside the observation; none in others."""
    space = _made(env_id).observation_space
    if not isinstance(space, gymnasium.spaces.Dict):
        return {}
    return {name: each for name, each in space.items() if name != "observation"}


def _space(space: Any) -> str:
    if isinstance(space, gymnasium.spaces.Dict):
        return f"Dict({', '.join(f'{name}: {_box(each)}' for name, each in space.items())})"
    return _box(space)


def _box(space: gymnasium.spaces.Box) -> str:
    def end(bound: Any) -> str:
        return f"{bound[0]:.3g}" if np.all(bound == bound[0]) else "..."

    return f"Box({end(space.low)}, {end(space.high)}, {space.shape}, {space.dtype})"


def _names(part: str, kind: str) -> list[str]:
    return [option.name for option in option_tables()[part][kind]]


def _keywords(values: dict[str, Any]) -> str:
    return ", ".join(f"`{name}={value!r}`" for name, value in values.items())


def _value(value: Any) -> str:
    try:
        json.dumps(value)
    except TypeError:  # made of parts: the options of those are in other tables
        return "–"
    return f"`{round(value, 6)!r}`" if isinstance(value, float) else f"`{value!r}`"


def _described(option: Any) -> str:
    """Its meaning, and below it the rule."""
    rule = option.rule.replace("<", "&lt;")
    return f"{option.meaning}<br>*{rule}*"


def _interval(ends: Sequence[float] | None, digits: int) -> str:
    """A mean, and below it its interval."""
    if ends is None:  # where zero volition is no floor
        return "–"
    middle, *around = (
        f"{value:.{digits}f}".replace("-", "−") for value in ends if value is not None
    )
    return f"{middle}<br>({'–'.join(around)})" if len(set(around)) > 1 else middle  # one run
