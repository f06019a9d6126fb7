"""Plots as SVG text: lines over time, stacked shares, and bands of phases."""

from html import escape

WIDTH, HEIGHT = 860, 220
# Room for the axis labels: left for numbers with their unit, right for half of the last time.
LEFT, RIGHT, TOP, BOTTOM = 72, 24, 10, 26
# Eight that can be told apart, also by most who see colours differently (Okabe and Ito, black replaced).
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8a8a00", "#7f7f7f")
PHASES = {"starting": "#e69f00", "ready": "#009e73", "draining": "#d55e00", "stopped": "#7f7f7f"}


def colour(index):
    return COLOURS[index % len(COLOURS)]


class Axes:
    """Maps seconds 0 to `span` and values 0 to `top` to the plot's area."""

    def __init__(self, span, top, height=HEIGHT):
        self.span, self.top, self.height = max(span, 1e-9), nice(top), height

    def x(self, at):
        return LEFT + min(max(at / self.span, 0), 1) * (WIDTH - LEFT - RIGHT)

    def y(self, value):
        return self.height - BOTTOM - min(value / self.top, 1) * (self.height - TOP - BOTTOM)

    def grid(self, unit=""):
        parts = []
        for step in range(5):
            value = self.top * step / 4
            y = self.y(value)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text class="y" x="{LEFT - 6}" y="{y + 4:.1f}">{short(value)}{unit}</text>')
        return "".join(parts) + self.times()

    def times(self):
        parts = []
        step = nice(self.span / 8)
        for count in range(int(self.span / step + 1e-9) + 1):
            at = count * step
            parts.append(f'<text class="x" x="{self.x(at):.1f}" y="{self.height - 8}">{short(at)} s</text>')
        return "".join(parts)

    def marks(self, events):
        """Vertical lines where something happened; the words come as a tooltip."""
        return "".join(
            f'<line class="mark" x1="{self.x(at):.1f}" x2="{self.x(at):.1f}" y1="{TOP}" y2="{self.height - BOTTOM}">'
            f"<title>{at:.1f} s: {escape(text)}</title></line>"
            for at, text, _ in events
        )


def nice(value):
    """The next of 1, 2, 2.5, 4, 5, 8, 10 times a power of ten that is no less."""
    if value <= 0:
        return 1.0
    power = 10 ** (len(str(int(value))) - 1) if value >= 1 else 0.001
    while True:
        for digit in (1, 2, 2.5, 4, 5, 8):
            if digit * power >= value * 0.999:
                return digit * power
        power *= 10


def short(value):
    if value >= 10_000:
        return f"{value / 1000:g}k"
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def figure(title, about, body, legend=(), height=HEIGHT):
    """A titled plot; `legend` has (name, colour)."""
    keys = "".join(f'<span><i style="background:{shade}"></i>{escape(name)}</span>' for name, shade in legend)
    label = escape(title, quote=True)
    return (
        f'<figure><figcaption><b>{escape(title)}</b> {escape(about)}</figcaption><div class="legend">{keys}</div>'
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {WIDTH} {height}">{body}</svg></figure>'
    )


def lines(title, about, series, span, events=(), unit="", colours=COLOURS):
    """`series` has (name, [(s, value or None)]); a None breaks the line."""
    top = max((value for _, points in series for _, value in points if value is not None), default=0)
    axes = Axes(span, top * 1.05)
    body, legend = axes.grid(unit) + axes.marks(events), []
    for index, (name, points) in enumerate(series):
        shade = colours[index % len(colours)]
        legend.append((name, shade))
        body += f'<path class="line" stroke="{shade}" d="{path(axes, points)}"><title>{escape(name)}</title></path>'
    return figure(title, about, body, legend)


def path(axes, points):
    parts, pen = [], "M"
    for at, value in points:
        if value is None:
            pen = "M"
            continue
        parts.append(f"{pen}{axes.x(at):.1f} {axes.y(value):.1f}")
        pen = "L"
    if len(parts) == 1:
        # One point alone would be invisible.
        parts.append("h1")
    return "".join(parts)


def stacked(title, about, names, rows, step, span, events=()):
    """`rows` has (s, [value of each name]); each row is drawn as shares of its sum, `step` seconds wide."""
    axes = Axes(span, 100)
    body = axes.grid("%")
    edges = ["" for _ in names]
    for at, values in rows:
        total, below = sum(values), 0.0
        left, right = axes.x(at), axes.x(at + step)
        for index, value in enumerate(values):
            if value:
                above = below + 100 * value / total
                top, bottom = axes.y(above), axes.y(below)
                edges[index] += f"M{left:.1f} {top:.1f}H{right:.1f}V{bottom:.1f}H{left:.1f}Z"
                below = above
    for index, name in enumerate(names):
        body += f'<path class="area" fill="{colour(index)}" d="{edges[index]}"><title>{escape(name)}</title></path>'
    return figure(title, about, body + axes.marks(events), [(name, colour(i)) for i, name in enumerate(names)])


def bands(title, about, rows, span, events=()):
    """`rows` has (name, [(from, to, phase)])."""
    row = 22
    height = TOP + BOTTOM + row * len(rows)
    axes = Axes(span, 1, height)
    body = axes.times()
    for index, (name, stretches) in enumerate(rows):
        y = TOP + index * row
        # An address is longer than the room for it; its end tells it from the others.
        body += f'<text class="y name" x="{LEFT - 6}" y="{y + 15}"><title>{escape(name)}</title>{escape(name[-10:])}</text>'
        for begin, end, phase in stretches:
            x, width = axes.x(begin), max(axes.x(end) - axes.x(begin), 0.5)
            tip = f"<title>{escape(name)}: {phase} from {begin:.1f} to {end:.1f} s</title>"
            fill = PHASES.get(phase)
            if fill:
                body += f'<rect x="{x:.1f}" y="{y + 2}" width="{width:.1f}" height="{row - 4}" fill="{fill}">{tip}</rect>'
    return figure(title, about, body + axes.marks(events), list(PHASES.items()), height)
