"""Run the examples of this folder, each library in an environment of its own, and note the speeds.

    python examples/clients/run.py            # all: makes .venv-clients/NAME where it is missing
    python examples/clients/run.py sb3 skrl   # some

Each script says in its head (``# /// script``, PEP 723) what it needs. What was measured takes its
row in docs/clients/speed.csv; compare rows of one run, on one machine.
"""

import argparse
import csv
import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
TABLE = ROOT / "docs" / "clients" / "speed.csv"
NAMES = tuple(sorted(path.stem.removeprefix("with_") for path in FOLDER.glob("with_*.py")))

_RESULT = re.compile(r"([\d,]+) steps/s, return (-?[\d.]+), success ([\d.]+)")
_VERSIONS = """
import json, platform
from importlib.metadata import distributions
print(json.dumps({d.name.lower().replace("_", "-"): d.version for d in distributions()}
      | {"python": platform.python_version()}))
"""


def head(name: str) -> dict[str, Any]:
    """What a script says of itself (PEP 723)."""
    text = (FOLDER / f"with_{name}.py").read_text(encoding="utf-8")
    block = re.search(r"^# /// script\n((?:#.*\n)+?)# ///$", text, re.MULTILINE)
    if block is None:
        raise ValueError(f"with_{name}.py has no block '# /// script'")
    return tomllib.loads("".join(line[2:] or "\n" for line in block[1].splitlines(keepends=True)))


def read(printed: str) -> dict[str, float]:
    """The numbers of a script's line."""
    found = _RESULT.findall(printed)
    if len(found) != 1:
        raise ValueError(f"one line of results was expected, and this was printed:\n{printed}")
    return {
        "steps/s": int(found[0][0].replace(",", "")),
        "return": float(found[0][1]),
        "success": float(found[0][2]),
    }


def environment(name: str) -> Path:
    """Python of a client's environment, made if what it needs is not what it was made for."""
    folder = ROOT / ".venv-clients" / name
    python = folder / "bin" / "python"
    needs = head(name)["dependencies"]
    noted = folder / "needs.json"
    if noted.exists() and json.loads(noted.read_text()) == needs:
        return python
    print(f"{name}: making {folder}", flush=True)
    venv.create(folder, clear=True, with_pip=True)
    # torch as everywhere here, whatever a library asks for; the rest as its own pins want it
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    held = folder / "constraints.txt"
    held.write_text("\n".join(pin for pin in pins if pin.startswith("torch==")) + "\n")
    others = [each for each in needs if each != "ndbmi-gym"]
    install = [python, "-m", "pip", "install", "-q", "-c", held, "-e", ROOT, *others]
    subprocess.run(install, check=True)
    noted.write_text(json.dumps(needs))
    return python


def run(name: str) -> dict[str, Any]:
    """One row of the table."""
    about, python = head(name), environment(name)
    printed = subprocess.run(
        [python, FOLDER / f"with_{name}.py"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    listed = subprocess.run([python, "-c", _VERSIONS], check=True, capture_output=True, text=True)
    versions = json.loads(listed.stdout)
    library, _, version = re.sub(r"\[.*\]", "", about["dependencies"][1]).partition("==")
    return {
        "name": name,
        "library": about["tool"]["ndbmi-gym"].get("library", f"{library} {version}"),
        "entry point": about["tool"]["ndbmi-gym"]["entry"],
        "autoreset": about["tool"]["ndbmi-gym"]["autoreset"],
        **read(printed),
        **{key: versions.get(key, "") for key in ("gymnasium", "numpy", "torch", "python")},
    }


def note(row: dict[str, Any]) -> None:
    """Put a row into the table, in place of the one that its script had."""
    rows = {row["name"]: row}
    if TABLE.exists():
        with TABLE.open(newline="", encoding="utf-8") as file:
            rows = {each["name"]: each for each in csv.DictReader(file)} | rows
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[name] for name in NAMES if name in rows)


def main() -> int:
    """Run what was asked for; returns how many failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    names = parser.parse_args().names or NAMES
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        parser.error(f"no example {unknown[0]!r}: choose of {', '.join(NAMES)}")
    failed = 0
    for name in names:
        try:
            row = run(name)
        except subprocess.CalledProcessError as error:
            failed += 1
            print(f"{name}: {error}\n{error.stderr or ''}", flush=True)
        else:
            print(f"{name}: {row}", flush=True)
            note(row)
    return failed


if __name__ == "__main__":
    sys.exit(main())
