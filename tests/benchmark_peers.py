"""Speed of other libraries, each in an environment of its own: ``python tests/benchmark_peers.py``.

Makes ``.venv-peers/NAME`` where it is missing, and runs this file there: interleaved rounds on one
core, MuJoCo's Reacher among them, compilation left out, random actions drawn within. What was found
goes to ``docs/speed/peers.json``, with versions.
"""

import argparse
import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from benchmark_rounds import (
    Spent,
    cores,
    enough,
    interleaved,
    machine,
    scalar_steps,
    spent,
    versions,
    written,
)

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "docs" / "speed" / "peers.json"
NEEDS = {
    "gymnax": ("gymnax==1.0.1", "jax==0.10.2", "gymnasium[mujoco]==1.3.0", "mujoco==4.0.0", "six"),
    "motornet": ("motornet==0.3.0", "torch", "gymnasium[mujoco]==1.4.0", "mujoco==4.0.0"),
}
"""What each environment is made of: torch of constraints.txt; six, which gymnax imports unsaid."""
BATCHES = (1, 256, 4096)
SCAN = 100

Measures = dict[tuple[str, str], Callable[[], Spent]]


def repeated(done: int, work: Callable[[], Any]) -> Callable[[], Spent]:
    """A measure of some work, which is done once before."""
    work()
    times = enough(work)
    return lambda: spent(done * times, lambda: [work() for _ in range(times)])


def reacher() -> Measures:
    """The unit."""
    import gymnasium

    env = gymnasium.make("Reacher-v5")
    env.reset(seed=0)
    env.action_space.seed(0)
    action = env.action_space.sample()
    return {("MuJoCo Reacher-v5", "scalar"): repeated(500, lambda: scalar_steps(env, action, 500))}


def gymnax() -> Measures:
    """A call for each step, and its own way: many steps in one compiled loop."""
    import gymnax as library
    import jax

    made: Measures = {}
    for name in ("Reacher-misc", "CartPole-v1"):
        env, parameters = library.make(name)
        space = env.action_space(parameters)

        def step(
            carried: Any, _: Any, env: Any = env, parameters: Any = parameters, space: Any = space
        ) -> Any:
            key, state = carried
            n = jax.tree.leaves(state)[0].shape[0]
            key, acting, stepping = jax.random.split(key, 3)
            action = jax.vmap(space.sample)(jax.random.split(acting, n))
            seen, state, reward, *_ = jax.vmap(env.step, (0, 0, 0, None))(
                jax.random.split(stepping, n), state, action, parameters
            )
            return (key, state), (seen, reward)

        for batch in BATCHES:
            keys = jax.random.split(jax.random.key(0), batch)
            _, state = jax.vmap(env.reset, (0, None))(keys, parameters)
            began = jax.random.key(1), state
            alone = jax.jit(lambda carried, step=step: step(carried, None))
            many = jax.jit(lambda carried, step=step: jax.lax.scan(step, carried, None, SCAN))
            for how, go, steps in (("", alone, 1), (f", scan of {SCAN}", many, SCAN)):
                made[f"gymnax {name}{how}", str(batch)] = repeated(
                    batch * steps, going(go, began, jax.block_until_ready)
                )
    return made


def going(go: Callable[[Any], Any], began: Any, wait: Callable[[Any], Any]) -> Callable[[], None]:
    """A step that goes on from the last one's state."""
    now = [began]

    def step() -> None:
        now[0], _ = wait(go(now[0]))

    return step


def motornet() -> Measures:
    """Reaches of an arm with two joints and six muscles, and of a point mass with four."""
    import motornet as library
    import torch

    torch.set_num_threads(1)
    made: Measures = {}
    effectors = {
        "arm of six Hill muscles": lambda: library.effector.RigidTendonArm26(
            library.muscle.RigidTendonHillMuscle()
        ),
        "point mass of four muscles": library.effector.ReluPointMass24,
    }
    for name, effector in effectors.items():
        for batch in BATCHES:
            env = library.environment.RandomTargetReach(effector())
            env.reset(seed=0, options={"batch_size": batch})

            def step(env: Any = env, batch: int = batch) -> None:
                with torch.inference_mode():
                    _, _, ended, _, _ = env.step(torch.rand(batch, env.n_muscles))
                    if ended:
                        env.reset(options={"batch_size": batch})

            made[f"MotorNet, {name}", str(batch)] = repeated(batch, step)
    return made


PEERS = {"gymnax": gymnax, "motornet": motornet}


def measured(name: str, rounds: int) -> dict[str, Any]:
    """What the rounds of a library find, in its environment."""
    with cores(1):
        found = interleaved(reacher() | PEERS[name](), rounds)
    steps_per_s: dict[str, dict[str, list[float]]] = {}
    for (row, batch), spans in found.items():
        steps_per_s.setdefault(row, {})[batch] = [each.rate for each in spans]
    libraries = [need.partition("==")[0].partition("[")[0] for need in NEEDS[name]]
    return {
        "date": date.today().isoformat(),
        "machine": machine(),
        "versions": versions((*libraries, "numpy")),
        "steps_per_s": steps_per_s,
    }


def environment(name: str) -> Path:
    """Python of a library's environment, made if what it needs is not what it was made for."""
    folder = ROOT / ".venv-peers" / name
    python, noted = folder / "bin" / "python", folder / "needs.json"
    if noted.exists() and json.loads(noted.read_text()) == [*NEEDS[name]]:
        return python
    print(f"{name}: making {folder}", flush=True)
    venv.create(folder, clear=True, with_pip=True)
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    held = folder / "constraints.txt"
    held.write_text("\n".join(pin for pin in pins if pin.startswith("torch==")) + "\n")
    subprocess.run([python, "-m", "pip", "install", "-q", "-c", held, *NEEDS[name]], check=True)
    noted.write_text(json.dumps(NEEDS[name]))
    return python


def main() -> None:
    """Measure what was asked for, in environments of their own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NEEDS)}")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--here", action="store_true", help="print one's numbers, in this process")
    arguments = parser.parse_args()
    names = arguments.names or [*NEEDS]
    unknown = sorted({*names} - {*NEEDS})
    if unknown:
        parser.error(f"no peer {unknown[0]!r}: choose of {', '.join(NEEDS)}")
    if arguments.here:
        print(json.dumps(measured(names[0], arguments.rounds)))
        return
    found = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for name in names:
        run = [environment(name), __file__, name, "--here", "--rounds", str(arguments.rounds)]
        printed = subprocess.run(run, stdout=subprocess.PIPE, text=True, check=True).stdout
        found[name] = json.loads(printed.splitlines()[-1])
        for row, batches in found[name]["steps_per_s"].items():
            for batch, rates in batches.items():
                print(f"{sorted(rates)[len(rates) // 2]:14,.0f} steps/s  {row}, {batch}")
        RECORD.write_text(written({each: found[each] for each in NEEDS if each in found}))


if __name__ == "__main__":
    sys.exit(main())
