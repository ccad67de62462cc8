"""The numbers of the study of adaptation, and of what the pages say of it."""

from statistics import median

from ndbmi_gym.experiments.adaptation.study import markdown
from ndbmi_gym.experiments.bench.statistics import Interval
from prose import Piece, Whole, sentence
from prose.data import effects, tables

PAGE = "docs/studies/adaptation.md"
CATCH = "catch − baseline"
WASH = "wash 1 − baseline"
SAVINGS = "savings: second − first"
SURE = ("ignorant", "knowing", "trial_by_trial", "bayes")
"""Those who see the state."""
DEVICES = ("point mass", "arm", "circuit")


def pieces() -> list[Piece]:
    """All of them."""
    learner, prompt = effects("trial_by_trial"), effects("trial_by_trial", delay=0)
    bayes, listener = effects("bayes"), effects("listener")
    trained, forgetting = effects("recurrent_ppo"), effects("recurrent_ppo, forgetting")
    distilled, forgets = effects("distill"), effects("distill, forgetting")
    catches = {
        policy: [-effects(policy, device)[CATCH].estimate for device in DEVICES]
        for policy in ("trial_by_trial", "bayes", "listener")
    }
    every = [value for values in catches.values() for value in values]
    compensated = [each["compensation, late"].estimate for each in (learner, bayes, listener)]
    circuit = effects("listener", "circuit")
    return [
        Whole("docs/adaptation/study.md", markdown(tables("docs/adaptation")) + "\n"),
        sentence(
            PAGE,
            "the device swerves the other way, by {every[0]:.1f} to {every[1]:.1f} cm in a reach "
            "of 5 cm with late senses ({heard[0]:.1f} to {heard[1]:.1f} cm where only spikes are "
            "heard)",
            every=_range(every),
            heard=_range(catches["listener"]),
        ),
        sentence(
            PAGE,
            "Recurrent agents that were trained show it in catch trials, too ({distilled:.1f} cm "
            "where they were distilled and hear spikes alone, {trained:.1f} cm by PPO on the "
            "state)",
            distilled=-distilled[CATCH].estimate,
            trained=-trained[CATCH].estimate,
        ),
        sentence(
            PAGE,
            "{late[0]:.1f} against {first[0]:.1f} cm with late senses, {prompt[0]:.1f} against "
            "{prompt_first[0]:.1f} cm with prompt ones.",
            late=learner[CATCH],
            first=learner["trial 1"],
            prompt=prompt[CATCH],
            prompt_first=prompt["trial 1"],
        ),
        sentence(
            PAGE,
            "That of Bayes is as large as its first error ({first[0]:.1f} cm).",
            first=bayes["trial 1"],
        ),
        sentence(
            PAGE,
            "learners push with {share[0]:.2f} to {share[1]:.2f} of the force",
            share=_range(compensated),
        ),
        sentence(
            PAGE,
            "the trial-by-trial learner begins {more[0]:.1f} cm worse",
            more=learner["interference: second − first"],
        ),
        sentence(
            PAGE,
            "has zero in its interval (some ±{others:.1f} cm, ±{listener:.1f} for the listener)",
            others=median(_half_width(effects(policy)[SAVINGS]) for policy in SURE),
            listener=_half_width(listener[SAVINGS]),
        ),
        sentence(
            PAGE,
            "its late errors are {late[0]:.1f} cm ({late[1]:.1f} to {late[2]:.1f}), and "
            "{arrive[0]:.2} of its late reaches arrive.",
            late=circuit["late"],
            arrive=circuit["success, late"],
        ),
        *(
            sentence(
                PAGE,
                who + " are deflected by {first[0]:.1f} cm in the first trial and by {late[0]:.1f} "
                "cm ({late[1]:.1f} to {late[2]:.1f}) in the end, and swerve to the other side by "
                "{catch[0]:.2f} cm ({catch[1]:.2f} to {catch[2]:.2f}) in catch trials and by "
                "{wash[0]:.2f} cm ({wash[1]:.2f} to {wash[2]:.2f}) in the first trial of washout.",
                first=agents["trial 1"],
                late=agents["late"],
                catch=_other_side(agents[CATCH]),
                wash=_other_side(agents[WASH]),
            )
            for who, agents in (("The distilled ones", distilled), ("Those of PPO", trained))
        ),
        sentence(
            PAGE,
            "show none** in catch trials ({catch[0]:.2f} cm, {catch[1]:.2f} to {catch[2]:.2f}; "
            "distilled {other[0]:.2f} cm, {other[1]:.2f} to {other[2]:.2f})",
            catch=forgetting[CATCH],
            other=forgets[CATCH],
        ),
        sentence(
            PAGE,
            "In channels those of PPO compensate {share[0]:.2f} of the field ({share[1]:.2f} to "
            "{share[2]:.2f}), the distilled ones {other[0]:.2f} ({other[1]:.2f} to {other[2]:.2f})",
            share=trained["compensation, late"],
            other=distilled["compensation, late"],
        ),
        sentence(
            PAGE,
            "the distilled ones begin {more[0]:.2f} cm worse ({more[1]:.2f} to {more[2]:.2f}), "
            "those of PPO {trained[0]:.2f} cm ({trained[1]:.2f} to {trained[2]:.2f})",
            more=distilled["interference: second − first"],
            trained=trained["interference: second − first"],
        ),
        sentence(
            PAGE,
            "with and without memory ({arrive[0]:.2} and {forgetting[0]:.2}; {other[0]:.2} and "
            "{forgets[0]:.2})",
            arrive=trained["success, late"],
            forgetting=forgetting["success, late"],
            other=distilled["success, late"],
            forgets=forgets["success, late"],
        ),
    ]


def _range(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


def _half_width(found: Interval) -> float:
    return (found.high - found.low) / 2


def _other_side(found: Interval) -> Interval:
    return Interval(-found.estimate, -found.high, -found.low)
