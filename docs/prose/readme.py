"""The numbers of the README."""

from statistics import mean

from ndbmi_gym.experiments.circuit.abscissa_summary import overall
from prose import Piece, Table, interval, sentence
from prose.data import benchmark, effects, hindsight, holding, read, scores, tables, verdicts

PAGE = "README.md"

REACHED = {
    "ShiftTargetCurl-v1": ("shift_curl_neural", "shift-curl", "success"),
    "HoldTarget-v1": ("hold_neural", "hold", "score"),
    "ShiftTargetSOC-v1": ("shift_soc_neural", "soc", "success"),
}

HEAD = ("", "zero volition", "Eq 24", "PPO", "distilled, 5 min", "15 min", "filter", "ceiling")

NETWORKS = {
    "circuit": "the circuit",
    "scaled to 0.15": "random network, abscissa .15 (the control of before)",
    "shuffled to 0.15": "the circuit's weights, inhibition shuffled, abscissa .15",
    "scaled to 0.5": "random network, abscissa .5",
    "scaled to 0.8": "random network, abscissa .8",
    "scaled to 0.95": "random network, abscissa .95",
    "shuffled to 0.95": "the circuit's weights, inhibition shuffled, abscissa .95",
}

LEARNERS = {
    "ignorant": "no learning (control)",
    "trial_by_trial": "corrects its belief trial by trial, sees the state",
    "listener": "Bayes on spikes alone, belief carried from trial to trial",
    "forgetful": "the same, nothing carried (control)",
    "recurrent_ppo": "**recurrent PPO**, trained on other sessions, sees the state",
    "recurrent_ppo, forgetting": "the same agents, made to forget between trials (control)",
    "distill": "**distilled agents**, trained on other sessions, hear spikes alone",
    "distill, forgetting": "the same agents, made to forget between trials (control)",
}


def pieces() -> list[Piece]:
    """All of them."""
    shift = {
        name: scores("shift_neural", name)["success"][0] for name in ("eq24", "zero", "filter")
    }
    claims = verdicts()
    returns = {
        row["agent"]: float(row["return"])
        for row in read("agents/results/benchmark/core/leaderboard.csv")
    }
    return [
        sentence(
            PAGE,
            "The paper's own command has {eq24:.3}, zero volition {zero:.3}, a filter that sees "
            "what the agent sees {filter:.3}.",
            **shift,
        ),
        sentence(
            PAGE,
            "{after:.2} of the steps inside, {alone:.2} without replay (three seeds;",
            after=mean(hindsight("SAC with HER")),
            alone=mean(hindsight("SAC")),
        ),
        Table(
            PAGE,
            HEAD,
            [_reached(name, *where) for name, where in REACHED.items()],
        ),
        sentence(
            PAGE,
            "agents have {short:.2} and {long:.2} of the way from zero volition to the ceiling "
            "(interquartile means over the three tasks), the filter {filter:.2}.",
            short=returns["distill-5min"],
            long=returns["distill-15min"],
            filter=returns["filter"],
        ),
        Table(
            PAGE,
            ("", "error in trial 1, cm", "in trial 10", "catch − baseline"),
            [_after_effect(policy, words) for policy, words in LEARNERS.items()],
        ),
        Table(PAGE, ("cortex", "state reset", "state carried over"), _networks()),
        sentence(
            PAGE,
            "Of the {all:d} statements of the paper that can be tested, {holds:d} hold in thirty "
            "animals that no search has seen, {fails:d} do not, {undecided:d} are undecided, and "
            "the verdict on {depends:d} depends on how the text is read. The parameters were "
            "searched for that: of the statements that hold, {common:d} would hold under most "
            "random parameters, too, and {rare:d} under fewer than a fifth of them",
            all=claims.total(),
            holds=claims["holds"],
            fails=claims["does not hold"],
            undecided=claims["undecided"],
            depends=claims["depends on the reading"],
            common=holding(least=0.5),
            rare=holding(below=0.2),
        ),
    ]


def _networks() -> list[list[str]]:
    """Networks in the loop, from the study's table of all tasks in one."""
    lines = overall(tables("docs/circuit/study/abscissa")).splitlines()
    head, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
    shown = [head.index(f"{state}, same signal") for state in ("reset", "carried")]
    found = {row[0]: [row[at] for at in shown] for row in rows}
    return [[words, *found[name]] for name, words in NETWORKS.items()]


def _reached(name: str, file: str, task: str, what: str) -> list[str]:
    cells = [
        interval(scores(file, policy)[what], ".3", "–")
        for policy in ("zero", "eq24", "ppo", "filter", "ceiling")
    ]
    short, long = (
        interval(benchmark(task, f"distill-{minutes}min", what), ".3", "–") for minutes in (5, 15)
    )
    cells[3:3] = [short, long]
    return [f"`{name}`", *cells]


def _after_effect(policy: str, words: str) -> list[str]:
    found = effects(policy)
    shown = ("trial 1", "trial 10", "catch − baseline")
    return [words, *(interval(found[each], ".2f") for each in shown)]
