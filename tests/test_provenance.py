import json
import sys

import pytest

from ndbmi_gym import provenance
from ndbmi_gym.provenance import dependencies, imports, source_digest, versions


def test_versions_are_json():
    found = json.loads(json.dumps(versions("no-such-package")))
    assert {"python", "ndbmi-gym", "numpy", "source"} <= set(found)
    assert found["no-such-package"] == "not installed"
    assert all(found.values())


CACHES = ("dependencies", "imports", "_modules", "_tree", "_meaning")
SOURCE = {
    "__init__.py": "",
    "loop.py": "x = 1\n",
    "search.py": "from toy.claims import judge\n",
    "claims.py": "def judge():\n    from toy import loop\n",
    "fig2.py": "from toy.claims import judge\nfrom toy.drawing import draw\nimport toy.room\n",
    "drawing.py": "import toy.colours\n",
    "colours.py": "",
    "typed.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from toy import loop\n",
    "room/__init__.py": "from .near import y\n",
    "room/near.py": "from ..registry import PARTS\n",
    "registry.py": 'PARTS = {"far": "toy.room.far:make"}\n',
    "room/far.py": "z = 1\n",
}


def forget():
    for name in CACHES:
        getattr(provenance, name).cache_clear()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose source is digested in place of ours."""
    for name, text in SOURCE.items():
        path = tmp_path / "toy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(provenance, "_PACKAGE", "toy")
    monkeypatch.syspath_prepend(tmp_path)
    forget()
    yield tmp_path / "toy"
    forget()
    sys.modules.pop("toy", None)


def digests(*stages):
    forget()
    return [source_digest(stage) for stage in stages]


def test_a_stage_depends_on_what_it_imports_through_others(package):
    assert dependencies("toy.search") == {"toy", "toy.search", "toy.claims", "toy.loop"}
    assert dependencies("toy.typed") == {"toy", "toy.typed"}


def test_relative_imports_and_parts_looked_up_by_name_count(package):
    rooms = {"toy.room", "toy.room.near", "toy.registry", "toy.room.far"}
    assert dependencies("toy.room") == {"toy", *rooms}
    own = {"toy", "toy.fig2", "toy.claims", "toy.loop"}
    assert dependencies("toy.fig2") == own | rooms  # without drawing and its colours
    assert imports("toy.fig2") >= {"toy.drawing"}


def test_a_stage_is_another_where_its_source_is_another(package):
    search, figure, everything = digests("toy.search", "toy.fig2", None)
    (package / "drawing.py").write_text("import toy.colours\nWIDTH = 2\n")
    assert digests("toy.search", "toy.fig2") == [search, figure]
    assert digests(None) != [everything]
    (package / "fig2.py").write_text(SOURCE["fig2.py"] + "SETS = 3\n")
    assert digests("toy.search") == [search]
    assert digests("toy.fig2") != [figure]
    (package / "loop.py").write_text("x = 2\n")
    assert digests("toy.search") != [search]


def test_comments_and_layout_do_not_count(package):
    before = digests("toy.search", None)
    (package / "loop.py").write_text("# the loop\nx = (\n    1\n)\n")
    (package / "notes.txt").write_text("to do")
    assert digests("toy.search", None) == before


def test_files_that_come_and_go_count_for_everything(package):
    seen = {digests(None)[0]}
    (package / "new.py").touch()
    seen |= {digests(None)[0]}
    (package / "new.py").rename(package / "room" / "new.py")
    seen |= {digests(None)[0]}
    assert len(seen) == 3


def test_a_stage_that_is_none_is_refused():
    with pytest.raises(ValueError, match="stage 'numpy': give a module of ndbmi_gym"):
        dependencies("numpy")


def test_figures_and_the_search_depend_on_their_own():
    rooms = "ndbmi_gym.experiments"
    search = dependencies(f"{rooms}.recovery.search")
    fig2, fig7 = (dependencies(f"{rooms}.vato2014.{name}") for name in ("fig2", "fig7"))
    assert {f"{rooms}.vato2014.claims", "ndbmi_gym.loop", "ndbmi_gym.metric"} <= search
    assert {f"{rooms}.vato2014.comparison", "ndbmi_gym.loop"} <= fig7
    assert f"{rooms}.vato2014.fig2" not in search | fig7
    assert not any(name.endswith("drawing") for name in search | fig2 | fig7)
