"""Policies: numpy only, with the `predict` of Stable-Baselines3 models.

The floor (zero volition), the paper's own command (Eq 24), random volition, a filter that acts on
what an agent sees and on knowledge of interface and plant, and the reference ceilings, which are
privileged: they look into the environment that they were made for. Beside them, trained agents.
"""

from collections.abc import Callable
from functools import partial

from ndbmi_gym.parts import Registry
from ndbmi_gym.policies.baselines import Eq24, HasEpisodes, Policy, Random, Zero
from ndbmi_gym.policies.choosing import Choosing
from ndbmi_gym.policies.feedforward import Feedforward, Plan
from ndbmi_gym.policies.filter import ParticleFilter
from ndbmi_gym.policies.learners import Bayes, Knowing, TrialByTrial
from ndbmi_gym.policies.listener import Listener
from ndbmi_gym.policies.lookahead import LookAhead
from ndbmi_gym.policies.pretrained import Pretrained

__all__ = [
    "POLICIES",
    "Bayes",
    "Choosing",
    "Eq24",
    "Feedforward",
    "HasEpisodes",
    "Knowing",
    "Listener",
    "LookAhead",
    "ParticleFilter",
    "Plan",
    "Policy",
    "Pretrained",
    "Random",
    "TrialByTrial",
    "Zero",
    "make_policy",
]


def _ceiling(env: HasEpisodes) -> Policy:
    neural = env.unwrapped.episodes.config.observation.observe == "neural"
    if neural:
        return ParticleFilter(env, particles=600, avoids=True)
    return LookAhead(env, avoids=True)


def _filter(env: HasEpisodes) -> Policy:
    if "counts" not in env.unwrapped.episodes.layout.columns:
        raise ValueError("the filter listens to spike counts: set observe='neural' or 'full'")
    return ParticleFilter(env, knows_force=False, avoids=True)


LEARNERS: dict[str, Callable[..., Policy]] = {
    "ignorant": Feedforward,
    "knowing": Knowing,
    "trial_by_trial": TrialByTrial,
    "bayes": Bayes,
    "listener": Listener,
    "forgetful": partial(Listener, carries=False),
}
"""Reference learners of a hidden curl field; the last two hear spikes, the others see the state."""

POLICIES: Registry[Policy] = Registry(
    "policy",
    ("predict",),
    {
        "zero": Zero,
        "eq24": Eq24,
        "random": Random,
        "greedy": LookAhead,
        "filter": _filter,
        "ceiling": _ceiling,
        "pretrained": Pretrained,
    }
    | LEARNERS,
)
"""Policies by name, each made from the environment that it is for."""


def make_policy(name: str, env: HasEpisodes) -> Policy:
    """Make a policy for an environment, by its name.

    Parameters
    ----------
    name : {"zero", "eq24", "random", "greedy", "filter", "ceiling", "pretrained"}
        Or a learner (`LEARNERS`), or another that `POLICIES` knows. Greedy is `LookAhead` on the
        true state, straight for the target. The filter is a `ParticleFilter` that sees no more than
        an agent; the ceiling is one that knows the commanded force for neural observation, else
        `LookAhead`; both go round obstacles that the task names. `Pretrained` is the trained agent
        that comes with the package, if there is one for the environment's id. For policies of one's
        own see `ndbmi_gym.rollout.as_actor`.
    env : BMIEnv or BMIVectorEnv
        Wrapped or not.

    Raises
    ------
    ValueError
        If the name is unknown, the filter would have no counts to listen to, or there is no trained
        agent for the environment.
    """
    if name not in POLICIES:
        raise ValueError(f"unknown policy {name!r}: choose one of {', '.join(POLICIES)}")
    return POLICIES[name](env)
