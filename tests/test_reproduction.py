"""The published findings: a fast version with wide tolerances, and the full one (slow)."""

import json
from pathlib import Path

import numpy as np
import pytest

from ndbmi_gym.experiments.claims import HOLDS, UNDECIDED, judge
from ndbmi_gym.experiments.evidence import gather
from ndbmi_gym.experiments.reproduce import FIGURES, Reproduction, judge_claims, run
from ndbmi_gym.presets import PRESETS

PUBLISHED = Path(__file__).parents[1] / "docs" / "reproduction" / "claims.json"
"""The full run on ten animals that the README shows."""


def published():
    return {c["id"]: c["verdict"] for c in json.loads(PUBLISHED.read_text())["claims"]}


@pytest.fixture(scope="module")
def few_animals():
    """Three animals that neither the search nor the full run has seen."""
    evidence, misfit = gather(PRESETS["paper"], (50, 51, 52), seed=1)
    return {finding.claim.id: finding for finding in judge(evidence)}, misfit
