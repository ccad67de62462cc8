"""The scalar environment."""

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded

from ndbmi_gym.checks import shown
from ndbmi_gym.config import Config
from ndbmi_gym.envs.keys import arrow_keys
from ndbmi_gym.envs.view import View
from ndbmi_gym.episodes import Episodes
from ndbmi_gym.parts import plain
from ndbmi_gym.streams import Streams

Array = npt.NDArray[np.float32]

METADATA: dict[str, Any] = {"render_modes": ["human", "rgb_array"], "render_fps": 8}


def action_space(episodes: Episodes) -> spaces.Box:
    """Volitional firing rates of the recording electrodes, as fractions of the maximum."""
    return spaces.Box(episodes.low, 1.0, (episodes.n_electrodes,), np.float32)


def observation_space(episodes: Episodes) -> spaces.Box:
    """Bounds of the observation; see `Episodes.layout`."""
    low, high = episodes.layout.bounds
    return spaces.Box(low, high, dtype=np.float32)


class Written:
    """Writes an environment's spec in JSON types, so that it makes the same one anywhere."""

    _spec: EnvSpec | None = None

    @property
    def spec(self) -> EnvSpec | None:
        """How `gymnasium.make` made the environment."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        if spec is not None:
            spec.kwargs = {name: plain(value) for name, value in spec.kwargs.items()}
        self._spec = spec

    @property
    def title(self) -> str:
        """The environment's id, where it was made by one."""
        return self._spec.id if self._spec else type(self).__name__


def stream(env: Any) -> tuple[Any, Any, Any]:
    """Where an environment's random generator stands, for `rewind`."""
    generator = env._np_random
    state = None if generator is None else generator.bit_generator.state
    return generator, env._np_random_seed, state


def rewind(env: Any, generator: Any, seed: Any, state: Any) -> None:
    """Leave the generator as it was, when what drew from it was refused."""
    env._np_random, env._np_random_seed = generator, seed
    if generator is not None:
        generator.bit_generator.state = state


def made(who: str, options: dict[str, Any]) -> Config:
    """The configuration of an environment from its keyword arguments.

    Raises
    ------
    TypeError
        If there is an unknown one, in the words that Python has for it.
    """
    try:
        return Config.of(**options)
    except TypeError as error:
        raise TypeError(f"{who}.__init__() {error}") from None


def checked_seed(seed: Any, more: str = "") -> int:
    """A seed as a plain number.

    Raises
    ------
    ValueError
        If it is none.
    """
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not (whole and seed >= 0):
        raise ValueError(f"seed = {shown(seed)}: give a whole number >= 0{more}")
    return int(seed)


class BMIEnv(Written, gymnasium.Env[Any, Any]):
    """Volitional control of a closed-loop brain-machine interface.

    ## Description
    The position of a point mass in a viscous plane selects an electrical stimulus to sensory
    cortex; motor cortex answers with spikes; the interface decodes them into a virtual point and
    applies the desired force field's value there; the mass moves. Left alone, the mass follows the
    field to its fixed equilibrium. The agent is the animal's volition: it adds firing to the
    recorded neurons and thereby shifts what is decoded (Vato et al. 2014, PLoS ONE 9(3):e91677).

    | id | target | ends | step limit | score |
    |---|---|---|---|---|
    | FixedField-v1 | the field's equilibrium, radius 1.5 cm | on entry | 50 | success |
    | ShiftTarget-v1 | 3-7 cm from the centre, 5 cm or more from the start, radius 1.0 cm \
    | after two consecutive step ends inside | 25 | steps (misses: 25), success |
    | ShiftTargetCurl-v1 | the same, under a curl field of 0.6 kg/s | the same | 25 | the same |
    | HoldTarget-v1 | 2-6 cm from the centre, radius 1.5 cm | never | 50 \
    | share of the last 25 steps inside |
    | ShiftTargetSOC-v1 | the same as ShiftTarget-v1, with a circuit as the motor cortex \
    | the same | 25 | the same |
    | ShiftTargetArm-v0 | the same as ShiftTarget-v1, with a two-joint arm as the device \
    | the same | 25 | the same |
    | AvoidObstacle-v0 | 6-8.5 cm out, behind a disc, radius 1.0 cm | after two consecutive step \
    ends inside, or on touching the disc | 30 | the same |
    | HoldTargetDelayed-v0 | as HoldTarget-v1; the device is sensed three steps late | never | 50 \
    | the same as HoldTarget-v1 |
    | Degraded-v0 | as HoldTarget-v1; half of the tuning is lost after calibration | never | 50 \
    | the same as HoldTarget-v1 |
    | Rhythm-v0 | a radius and an angular speed | never | 80 | share of the last 40 steps |
    | ChooseField-v0 | one of two fields' centres, radius 1.0 cm; two electrodes weigh the fields \
    | after two consecutive step ends inside | 25 | steps, success |
    | Adaptation-v0 | 112 reaches in a session, under a hidden curl field in 57 of them \
    | on entry, each | 24 each | steps, success, errors by trial |

    ## Action Space
    ``Box(0, 1, (n,), float32)``: volitional firing rate on each of the n recording electrodes as a
    fraction of `max_rate_hz` (66.7 Hz by default); Poisson spikes of that rate are added to the
    evoked ones. With ``volition="signed"`` the box is [−1, 1] and negative entries suppress evoked
    firing (use ``log_std_init=-1`` with policy gradients: at unit exploration noise, suppression
    drowns the observation). Entries outside the box are clipped.

    In ShiftTargetSOC-v1, and with ``cortex="soc"``, the entries are input to the n recorded
    excitatory neurons of the circuit, held during the window, as fractions of 100 Hz (the state x
    that such input would hold an isolated neuron at). What it adds to the spikes is up to the
    circuit, so that all spikes count as evoked. ShiftTargetSOC-v1 has 25 electrodes, 32 stimuli,
    single units (four per electrode, the circuit's default there, cost three times as much) and a
    signed box. Its ``cortex`` is ``{"kind": "soc", "stimuli": 32, "units": 1}``: another mapping
    replaces all of it. `Episodes.to_hz` and `from_hz` of ``env.unwrapped.episodes`` convert to and
    from firing rates, or input.

    ## Observation Space
    A flat float32 Box, by ``observe``:

    | quantity | entries | unit | bounds | neural | state | full |
    |---|---|---|---|---|---|---|
    | counts: last recorded spikes | n | full volition's (40; circuit: 30) | 0, far above \
    | yes | | yes |
    | position | 2 | L (10 cm) | ±2 | | yes | yes |
    | velocity | 2 | largest force / b (3 cm/s) | ±1 | | yes | yes |
    | action: own last action | n | | 0 or −1, 1 | yes | yes | yes |
    | target | 2 | L | ±1 | yes | yes | yes |

    The mass can leave the workspace [−L, L]²; an inelastic wall stands at 2L. The velocity bound is
    wider where a virtual point may lie where the field is stronger than in the workspace, and the
    largest finite number where nothing bounds the speed (no drag, or a callable perturbation).
    With ``observe_perturbation=True`` the trial's curl strength and constant force follow, each in
    units of its range. `neural` is what the interface tells the brain, one step late: volition and
    evoked response share a window. `state` is an upper bound on control rather than the task: such
    an agent need not listen to the interface and can drown the evoked spikes.

    ## Rewards
    ``−distance/L − effort_weight·mean|action|``, plus 1 on arrival (shift and fixed tasks) or 0.5
    per step that ends inside (hold task). ``reward="sparse"`` leaves the last two only. Every term
    is in ``info`` under its own key.

    ## Starting State
    At rest, uniformly on the perimeter of a square of 0.8 times the workspace's side (``starts``).
    The target is drawn from the places of calibration responses (``targets``). One stimulus is
    delivered with the device held, so that the first observation already reflects the start.
    ``reset(seed=...)`` fixes the trial, and numbers trials from 0; never the animal.

    Where the device is sensed late or with noise (``delay_steps``, ``noise_cm``), the stimulus is
    that of the region where it was so many steps ago, and a little beside it; position and velocity
    are observed as they are sensed.

    ``reset(options=...)`` takes, in place of what would be drawn, ``"start"`` and ``"target"`` in
    cm, (2,) or, for a batch, (B, 2); ``"animal"``, one of those that the environment draws from;
    ``"perturbation"``, ``{"curl": ..., "push": ...}``.

    ## Episode End
    Terminated on arrival: in the fixed task on first entry of the target disc (1.5 cm), in the
    shift tasks after two consecutive step ends within 1.0 cm; the hold task does not terminate. A
    task of one's own may also fail a trial. Truncated at the id's step limit (fixed and hold 50,
    shift 25).

    With ``session_trials`` and ``trial_steps`` an episode is a session of so many trials. The step
    after a trial's end begins the next one: its action is ignored and its reward is 0. The episode
    is terminated with the last trial.

    ## Info
    The same keys at reset and at every step of an environment; positions in cm, forces in kg·cm/s²:

    | key | what |
    |---|---|
    | stimulus, evoked_counts, volitional_counts | stimulus of the region, spikes it evoked, \
    spikes of volition, (n,) |
    | virtual_point, commanded_force | what the response is decoded to, the desired field there |
    | position, velocity | of the device |
    | perturbing_force, curl, push | all perturbing force; the trial's curl strength (kg/s), push |
    | trial, time_s, animal, target | number of the trial from 0, time in it, animal, target |
    | distance, inside, effort | from the target, within its disc, mean absolute action |
    | is_success, failed | whether the task is fulfilled at this step; whether the trial failed |
    | reward_distance, reward_effort, reward_bonus, reward_inside, reward_penalty | terms of the \
    reward |
    | block, trial_step, trial_end | in sessions: index of the block of trials, steps since the \
    trial began, whether this step ended it |
    | channel_force | where the environment is made with force channels: force of the device \
    against it at the end of the step, leftwards positive |

    ## Arguments
    ``task``, ``cortex``, ``field``, ``perturbation`` and ``plant`` choose parts, each by a name, a
    mapping with the name under ``"kind"`` and options, ``"module:attribute"``, or an object
    (`ndbmi_gym.parts`). Every other argument is an option of the one chosen part that has it::

        gymnasium.make("ndbmi/ShiftTarget-v1", dataset=7, decoder="projection", observe="full")

    ``ndbmi-gym parts`` prints all of them; they are declared in `ndbmi_gym.tasks`,
    `ndbmi_gym.cortex`, `ndbmi_gym.fields`, `ndbmi_gym.perturbations`, `ndbmi_gym.schedules`,
    `ndbmi_gym.plants`, `ndbmi_gym.animals` (calibration), `ndbmi_gym.senses`,
    `ndbmi_gym.observation`, `ndbmi_gym.sessions` and `ndbmi_gym.config`.
    ``preset="paper"`` takes metric, plant and fields from a set of parameters
    under which most of the published findings hold (`ndbmi_gym.presets`); other arguments override
    it. ``cortex={"kind": "soc", ...}`` puts a stability-optimised circuit in the place of the
    paper's cortex in any id (`ndbmi_gym.cortex.soc.cortex.SOC`).

    ``change(...)`` gives options of task and perturbation new values for the trials that begin
    from then on: a curriculum.

    ## Rendering
    ``render_mode="rgb_array"``: `render` returns a picture, an array (height, width, 3), which
    ``PIL.Image.fromarray`` or ``matplotlib.pyplot.imshow`` shows in a notebook; ``"human"``: a
    window shows every step. ``render_size=(900, 600)`` is its width and height in pixels.
    `ndbmi_gym.film.film` writes a film of a policy, and Gymnasium's ``RecordVideo`` works.
    ``gymnasium.utils.play.play(gymnasium.make(id, render_mode="rgb_array"))`` lets you be the
    animal: the arrow keys push by the paper's command. All of it comes with
    ``pip install "ndbmi-gym[render]"``.

    ## Vectorized environment
    ``gymnasium.make_vec(id, num_envs=n)`` makes the native `BMIVectorEnv`. Each of its n trials has
    a random stream of its own: reset with seed s, trial i is bit for bit that of this environment
    with seed s + i, in every autoreset mode. ``threads=2`` shares the trials among threads.

    ## Version History
    * v1: every trial draws from a random stream of its own. Distributions are those of v0, single
      trajectories are others.
    * v0: initial version.
    """

    metadata = METADATA

    def __init__(self, render_mode: str | None = None, **options: Any) -> None:
        if render_mode not in (None, *METADATA["render_modes"]):
            raise ValueError(f"render_mode = {render_mode!r}: choose 'human', 'rgb_array' or None")
        self.render_mode = render_mode
        self.episodes = Episodes(made(type(self).__name__, options), 1)
        self.action_space = action_space(self.episodes)
        self.observation_space = observation_space(self.episodes)
        self._view = View(self.episodes, METADATA["render_fps"])
        self._begun, self._steps = False, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Start an episode; see the class for `options`."""
        given = self.episodes.check_begin(options)
        self._tell_of_a_cut_session()
        before = stream(self)
        try:
            super().reset(seed=None if seed is None else checked_seed(seed))
            streams = Streams.of(self.np_random, 1)
            self.episodes.begin(streams, given=given, anew=seed is not None)
        except Exception:
            rewind(self, *before)
            raise
        self._begun, self._steps = True, 0
        if self.render_mode is not None:
            self._view.restart()
        if self.render_mode == "human":
            self.render()
        return self.episodes.observe()[0], self.episodes.info(0)

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Run the closed loop once under a volitional firing-rate vector (n,)."""
        episodes = self.episodes
        if not self._begun:
            raise ResetNeeded("there is no trial to step: call reset() first")
        episodes.step(np.asarray(action)[None])
        reward, terminated = episodes.outcome.alone()
        if episodes.in_session:
            terminated = bool(episodes.terminated[0])
            self._steps += 1
        if self.render_mode is not None:
            self._view.record()
            if self.render_mode == "human":
                self.render()
        return (
            episodes.observe()[0],
            reward,
            terminated,
            False,
            episodes.info(0),
        )

    def _tell_of_a_cut_session(self) -> None:
        """Warn where the id's step limit, which only a wrapper knows, has ended a session."""
        if not (self._steps and self._spec) or self.episodes.terminated[0]:
            return
        if self._steps == gymnasium.spec(self._spec.id).max_episode_steps:
            gymnasium.logger.warn(
                f"a session was left after {self._steps} steps, the step limit of {self._spec.id}: "
                "give max_episode_steps=-1 to make(), a session ends by itself"
            )

    def change(self, **options: Any) -> None:
        """Change task and perturbation for the trials that begin from now on (a curriculum).

        See `ndbmi_gym.episodes.Episodes.change`; through wrappers:
        ``env.get_wrapper_attr("change")(curl=1.0)``.
        """
        self.episodes.change(**options)

    def render(self) -> npt.NDArray[np.uint8] | None:
        """Draw the trial (H, W, 3), or show it in a window in human mode."""
        if self.render_mode is None:
            gymnasium.logger.warn('nothing to render: pass render_mode="rgb_array" to make()')
            return None
        if self.render_mode == "human":
            self._view.show(0, self.title)
            return None
        return self._view.draw(0, self.title)

    def get_keys_to_action(self) -> dict[tuple[int, ...] | str, Array]:
        """Actions of the arrow keys for `gymnasium.utils.play.play`: pushes by Eq 24.

        They suit the animal of the trial; before the first one, as when `play` asks, the first that
        the environment draws from.

        Raises
        ------
        ValueError
            If the cortex does not tell its expected rates.
        """
        episodes = self.episodes
        loop = episodes.loops[episodes.animal[0]]
        return arrow_keys(loop, episodes.low, episodes.max_count)

    def close(self) -> None:
        """Release the window and the drawing."""
        self._view.close()
