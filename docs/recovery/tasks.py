"""The tasks with the recovered parameters, ``preset="paper"``: ``python docs/recovery/tasks.py``.

Success and score of the references in 500 trials of animal 0, with Student's 95 % intervals.
"""

from pathlib import Path

from tqdm import tqdm

from ndbmi_gym.experiments.bench.statistics import mean_interval
from ndbmi_gym.experiments.bench.tables import from_rows, write_csv
from ndbmi_gym.rollout import score

OUT = Path(__file__).with_name("tasks.csv")
IDS = ("FixedField-v1", "ShiftTarget-v1", "ShiftTargetCurl-v1", "HoldTarget-v1")
POLICIES, MEASURES, TRIALS = ("zero", "eq24", "ceiling"), ("success", "score"), 500


def main() -> None:
    """Play all, and write what was found."""
    rows = []
    for name in tqdm(IDS, unit="task"):
        for policy in POLICIES:
            found = score(f"ndbmi/{name}", policy, TRIALS, preset="paper")
            for measure in MEASURES:
                mean, low, high = (round(x, 4) for x in mean_interval(found[measure]))
                row = {"task": name, "policy": policy, "measure": measure, "trials": TRIALS}
                rows.append(row | {"mean": mean, "low": low, "high": high})
    write_csv(OUT, from_rows(rows))
    print(OUT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
