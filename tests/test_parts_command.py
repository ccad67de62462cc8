import pytest

import ndbmi_gym
from ndbmi_gym.cli import main
from ndbmi_gym.config import option_tables


def test_every_option_of_every_part_is_printed(capsys):
    assert main(["parts"]) == 0
    told = capsys.readouterr().out
    for part, kinds in option_tables().items():
        for kind, options in kinds.items():
            assert (part if kind == part else f'{part}="{kind}"') in told.splitlines()
            assert all(f"  {option.name} = " in told for option in options)


def test_one_part_alone(capsys):
    assert main(["parts", "plant"]) == 0
    told = capsys.readouterr().out
    assert told.startswith('plant="point_mass"\n  mass = 0.5: mass m (give a finite number')
    assert "cortex" not in told


def test_another_part_is_refused(capsys):
    assert main(["parts", "limb"]) == 2
    assert "part 'limb': choose from task, cortex, field" in capsys.readouterr().err


def test_the_version(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"ndbmi-gym {ndbmi_gym.__version__}\n"
