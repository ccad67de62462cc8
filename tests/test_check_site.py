"""The check of the built site finds what a browser would miss."""

from importlib import import_module
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
WHOLE = {
    "index.html": '<h1 id="top-of">x</h1><a href="sub/a.html#b c"></a><img src="p.png">'
    '<a href="https://example.org">followed, not loaded</a><a href="#">x</a>',
    "sub/a.html": '<p id="b c"></p><a href="../index.html#top-of"></a><a href=""></a>'
    '<link rel="stylesheet" href="../s.css?v=1"><img src="data:image/png;base64,xx">',
    "s.css": "a {background: url(data:image/svg)}",
    "p.png": "",
}


@pytest.fixture
def faults(monkeypatch, tmp_path):
    """The faults of a site made of these files."""
    monkeypatch.syspath_prepend(DOCS)
    check = import_module("check_site")

    def of(files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        return list(check.faults(tmp_path))

    return of


def test_a_whole_site(faults):
    assert faults(WHOLE) == []


def test_an_empty_site(faults):
    assert len(faults({})) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("index.html", '<a href="gone.html"></a>'),
        ("index.html", '<a href="sub/"></a>'),
        ("index.html", '<a href="sub/a.html#gone"></a>'),
        ("index.html", '<a href="#gone"></a>'),
        ("index.html", '<img src="gone.png">'),
        ("index.html", '<img src="p.png" srcset="p.png, gone.png 2x">'),
        ("index.html", '<object data="gone.svg"></object>'),
        ("index.html", '<video poster="gone.png" src="p.png"></video>'),
        ("index.html", '<link rel="stylesheet" href="gone.css">'),
        ("index.html", '<link rel="next" href="gone.html">'),
        ("index.html", '<script src="https://cdn.example.org/x.js"></script>'),
        ("index.html", '<script src="//cdn.example.org/x.js"></script>'),
        ("index.html", '<link rel="stylesheet" href="https://example.org/x.css">'),
        ("index.html", '<img src="https://example.org/x.png">'),
        ("index.html", "<p>```{csv-table} title</p>"),
        ("s.css", "@import 'https://example.org/x.css';"),
        ("s.css", "a {src: url(//example.org/x.woff)}"),
    ],
)
def test_one_fault(faults, name, text):
    (fault,) = faults(WHOLE | {name: WHOLE[name] + text})
    assert name in fault
