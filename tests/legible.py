"""Whether the texts of a picture can be read, for tests of pictures."""

from itertools import combinations

from matplotlib.text import Text


def check_legible(canvas, apart=(), turned=()):
    """No text is small, cut off or on top of another.

    Places of those apart do not matter; the boxes of those turned are larger than they are, and may
    overlap others.
    """
    canvas.draw_without_rendering()  # lays out
    shown = [t for t in canvas.findobj(Text) if t.get_visible() and t.get_text().strip()]
    assert min(t.get_fontsize() for t in shown) >= 7
    boxes = {t: t.get_window_extent() for t in shown if t not in apart}
    edge = canvas.bbox.padded(1)
    for text, box in boxes.items():
        assert edge.x0 <= box.x0 <= box.x1 <= edge.x1, text.get_text()
        assert edge.y0 <= box.y0 <= box.y1 <= edge.y1, text.get_text()
    for first, second in combinations((t for t in boxes if t not in turned), 2):
        a, b = boxes[first], boxes[second]
        wide, high = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(wide, high) <= 2, (first.get_text(), second.get_text())


def tick_labels(canvas):
    """Of all axes, those that lie beyond an axis's ends among them."""
    canvas.draw_without_rendering()
    return {t for axes in canvas.axes for t in (*axes.get_xticklabels(), *axes.get_yticklabels())}
