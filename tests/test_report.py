import json
from dataclasses import asdict, replace

import pytest

from ndbmi_gym.experiments.bench.statistics import Interval
from ndbmi_gym.experiments.vato2014 import report
from ndbmi_gym.experiments.vato2014.baselines import load_baselines
from ndbmi_gym.experiments.vato2014.checks import Check, Finding
from ndbmi_gym.experiments.vato2014.claims import CLAIMS
from ndbmi_gym.presets import Preset

PIXEL = b"\x89PNG\r\n\x1a\nnot really"


def finding(claim, low, high):
    return Finding(
        claim, [Check("8 / 32 <regions>", Interval(1.05, low, high), 1.1, False, 0.3)], 10
    )


@pytest.fixture
def written(tmp_path):
    findings = [
        finding(CLAIMS[0], 1.0, 1.08),
        finding(CLAIMS[1], 1.2, 1.3),
        finding(CLAIMS[2], 1.0, 1.2),
    ]
    (tmp_path / "fig7.png").write_bytes(PIXEL)
    settings = {
        "preset": "default",
        "parameters": asdict(Preset()),
        "animals": [0, 1],
        "seed": 5,
        "versions": {"numpy": "2"},
    }
    remarks = ["f factors are off by 12 %", "5 < 6"]
    pictures = {"fig7: Flattened": tmp_path / "fig7.png"}
    report.write(tmp_path, findings, settings, remarks, pictures)
    return tmp_path


def test_verdicts_come_from_the_intervals(written):
    saved = json.loads((written / "claims.json").read_text())
    assert [c["verdict"] for c in saved["claims"]] == ["holds", "does not hold", "undecided"]
    assert saved["claims"][0]["checks"][0]["high"] == 1.08
    assert (saved["seed"], saved["remarks"][1]) == (5, "5 < 6")


def test_markdown_tells_claim_statement_verdict_and_interval(written):
    text = (written / "report.md").read_text()
    head = "1 of 3 claims hold, 1 do not, 1 are undecided, and the verdict on 0 depends on how"
    assert head in text
    row = next(line for line in text.splitlines() if line.startswith("| C1 "))
    assert CLAIMS[0].statement in row
    assert "**holds**" in row
    assert "1.05 (1.00 to 1.08) < 1.10" in row
    assert "2 animals (0 to 1), none of which the search had seen, seed 5" in text
    base = load_baselines()
    assert f"| {base.passed['C1']:.2f} (" in row
    assert f"a median of {base.median:g} claims (at most {base.most})" in text
    assert "f factors are off by 12 %" in text


def test_findings_are_read_back_as_they_were_written(written):
    saved = json.loads((written / "claims.json").read_text()) | {"animals": list(range(10))}
    found = report.findings_of(saved)
    assert [f.verdict for f in found] == ["holds", "does not hold", "undecided"]
    assert found[1].checks == finding(CLAIMS[1], 1.2, 1.3).checks
    assert report.claims_table(found, brief=True) in (written / "claims.md").read_text()
    saved["claims"][0]["checks"][0]["low"] = None  # what was not finite
    assert report.findings_of(saved)[0].verdict == "undecided"


def test_the_page_needs_nothing_but_itself(written):
    page = (written / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert "http" not in page
    assert "8 / 32 &lt;regions&gt;" in page  # what is measured cannot break the page
    assert "5 &lt; 6" in page
    assert page.count("<tr>") >= 3


def test_the_headline_tells_what_random_sets_satisfy_too(monkeypatch):
    passed = {"C1": 0.5, "C2": 0.1, "C3": 0.9}
    base = replace(load_baselines(), passed=passed, searched=(0, 1000))
    monkeypatch.setattr(report, "load_baselines", lambda: base)
    findings = [finding(claim, 1.0, 1.08) for claim in CLAIMS[:3]]
    settings = {"preset": "paper", "animals": [0, 1], "seed": 0}
    told = report.summary(findings, settings)
    assert "3 of 3 claims hold" in told
    assert "Of the 3 that hold, 2 also hold under at least half of random sets" in told
    assert "and 1 under fewer than a fifth" in told
    assert "some of which the search had seen" in told
