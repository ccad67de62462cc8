"""Decimal numbers of pages that no data have: what was chosen, and what was not kept."""

GIVEN: dict[str, tuple[str, ...]] = {
    "": (  # on any page
        "(66.7 Hz)",
        "0.3·mean|action|",
        "+0.5 if the step",
        "leaves the +0.5 only",
        "0.8 of the workspace's",
        "within 1.0 cm",
        "within 1.5 cm",
        "Python 3.11",
        "0.6 kg/s",
    ),
    "README.md": ("radius 1.5 cm", "takes 1.7 GB", "1.5 s late"),
    "docs/agents.md": ("*0.5 times as far as trials*",),
    "docs/clients/cleanrl.md": ("Gymnasium 0.29",),
    "docs/clients/rllib.md": ("Gymnasium at 1.2.2",),
    "docs/environments/hold_target_goal.md": (
        "target radius 0.5 cm",
        "the id's own radius of 1.5 cm",
    ),
    "docs/idea.md": ("for 0.6 s", "for 0.5 s"),
    "docs/results.md": (".5 million",),
    "docs/speed.md": ("The action is .1 on", "and .15 in the mean"),
    "docs/studies/adaptation.md": (
        "a curl field of 1.5 kg/s",
        "three steps (0.75 s) late",
        "adds 0.5 kg/s² and 0.5 kg/s times",
        "drifts by 0.1 kg/s",
        "with a probability of 0.1",
        "cost nothing or 0.03 a cm",
    ),
    "docs/studies/claims.md": ("At α = 0.9 the error is of the runs",),
    "docs/studies/circuit.md": (  # abscissae of controls, times and lengths
        "of abscissa .15 to .99",
        "those of .5 cannot be told from it. The weak ones (.15, .5)",
        "With those of .8 and .95 fewer",
        "hardly more (projection at .95)",
        "what those of .5 lose",
        "Windows last 0.3 s and the metric's τ is 0.05 s",
        "At 0.15, the circuit's own,",
        "at 0.8 and 0.99 it is a random network",
        "Those of abscissa 0.15 do;",
        "controls of abscissa 0.15 only",
        "Controls of abscissa 0.15 only fade",
        "shuffled inhibition scaled to 0.99",
        "Random networks at 0.99 settle",
        "step by step, until it is 0.15",
        "reaches to 1 (0.99) or have shrunk to a point near zero (0.15)",
        "**From 0.3 s on**",
        "holds after 0.4 s:",
        "After 0.1 s only",
        "has windows of 0.3 s",
        "has its 0.6 s",
        '"abscissa": 0.9,',
        "At .99 some",
        "every mode decays as at .15",
        "of the circuit, .15, to just",
        "have abscissa .15:",
        "the controls have abscissa 0.15",
        "control has abscissa 0.15",
    ),
}
"""By page: parameters, bounds, versions."""

UNDERIVED: dict[str, dict[str, str]] = {
    "README.md": {
        "agent succeeds in .891, .915 and .891 of 1,000 new trials": (
            "python examples/stable_baselines.py"
        ),
    },
    "docs/agents.md": {
        "after 0.6 million steps": (
            "python -m agents.train --algo recurrent_ppo --env ndbmi/Adaptation-v0 "
            "--option deviation_weight=0.1, as on the page"
        )
    },
    "docs/clients/torchrl.md": {
        "four runs came to a success of .59, .59, .69 and .76": (
            "python examples/clients/run.py torchrl, four times"
        )
    },
    "docs/clients/rllib.md": {
        "a return of −10.4 and a success of .49": (
            "python examples/clients/run.py rllib, without normalize_actions=False"
        )
    },
    "docs/results.md": {
        "(1.4 to 2.2 million steps,": "python -m agents.train --minutes 3, as on the page",
        "eight minutes: .80 on hold": "python -m agents.train --algo recurrent_ppo --minutes 8",
    },
    "docs/studies/adaptation.md": {
        "(one run each, 1.3 and 1.5 million steps)": (
            "python -m agents.train --algo recurrent_ppo --env ndbmi/Adaptation-v0, with "
            "--option deviation_weight=0 and 0.03"
        ),
    },
    "docs/studies/circuit.md": {
        "left each of its 236 means over animals": (
            "ndbmi-gym circuit study --parts structure, beside the tables in "
            "docs/circuit/study/structure"
        ),
    },
    "docs/studies/readings.md": {
        "takes 21 s and 1.8 GiB, with 30 responses 1.8 s": (
            "ndbmi_gym.experiments.protocol.geometry.make_interface(preset, 7, animal), of preset "
            "paper with repetitions 80 and 30"
        ),
    },
}
"""By page: what was measured and not kept as data, and the command that measures it."""
