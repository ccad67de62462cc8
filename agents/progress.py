"""How a training run comes along: its learning curve on disk, and a bar on the screen."""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from agents.runs import PROGRESS
from ndbmi_gym.files import whole_file

COLUMNS = ("steps", "seconds", "return", "success", "length")
"""Of the learning curve: means over the episodes that began in the span that ends at `steps`.

An episode is a trial or a session of several. The success of a session is that of its last trial,
but with distill the mean of all.
"""


class Progress:
    """The curve in a run's folder, gone on with where a checkpoint left it, and the bar.

    Parameters
    ----------
    folder : Path
        Of the run.
    steps : int
        Environment steps so far; of the curve, what came after them is lost with the model of then.
    seconds : float
        Wall time so far.
    budget : (float, str)
        How much there is to spend, and of what: ``"s"`` or ``"steps"``.
    """

    def __init__(self, folder: Path, steps: int, seconds: float, budget: tuple[float, str]) -> None:
        path = folder / PROGRESS
        earlier = _rows_until(steps, path)
        with whole_file(path) as part, part.open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *earlier])
        self._file = path.open("a", newline="")
        self._csv = csv.writer(self._file)
        total, unit = budget
        self._bar = tqdm(
            total=round(total),
            initial=steps if unit == "steps" else round(seconds),
            desc=str(folder),
            bar_format="{desc} {percentage:3.0f}%|{bar:30}| {elapsed}<{remaining}{postfix}",
            mininterval=0.5 if sys.stderr.isatty() else 15.0,
        )

    def tell(self, steps: int, seconds: float, means: Sequence[float], words: str = "") -> None:
        """Add a row to the learning curve, and show it.

        Parameters
        ----------
        steps : int
            The row's.
        seconds : float
        means : sequence of float
            Return, success and length.
        words : str
            To be shown before them.
        """
        earned, success, length = means
        texts = (f"{earned:.4f}", f"{success:.4f}", f"{length:.2f}")
        self._csv.writerow([steps, f"{seconds:.1f}", *texts])
        self._file.flush()
        shown = f"{words}{steps:,} steps, success {success:.2f}, return {earned:.2f}"
        self._bar.set_postfix_str(shown, refresh=False)

    def advance(self, spent: float) -> None:
        """Move the bar to what is spent of the budget."""
        self._bar.update(min(round(spent), self._bar.total) - self._bar.n)

    def say(self, words: str) -> None:
        """Print a line that the bar leaves standing."""
        self._bar.write(words)

    def close(self) -> None:
        """Leave both."""
        self._file.close()
        self._bar.close()


def _rows_until(steps: int, path: Path) -> list[list[str]]:
    """The learning curve up to a checkpoint."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [row for row in list(csv.reader(file))[1:] if int(row[0]) <= steps]
