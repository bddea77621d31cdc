"""What was seen, on one page: an HTML file that carries its pictures and needs no network."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vadlib.show.pictures import _data, _webp, as_rgb, heat_rgb

THUMB = 320  # pixels a thumbnail is wide
CSS = """
:root{color-scheme:light dark;--text:#1c1c1c;--soft:#555;--ground:#fff;--line:#d0d0d0;
--score:#0072b2;--alarm:#b8400a;--band:#ececec}
@media(prefers-color-scheme:dark){:root{--text:#eaeaea;--soft:#b4b4b4;--ground:#16181b;
--line:#44484d;--score:#6cbcf0;--alarm:#ff9a66;--band:#2a2e33}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;color:var(--text);background:var(--ground);
max-width:62rem;margin:0 auto;padding:1rem}
h1{line-height:1.2;overflow-wrap:anywhere}h2{margin-top:2rem}
.notice{border-left:.3rem solid var(--alarm);padding:.2rem .8rem;margin:.8rem 0}
svg{display:block;width:100%;height:12rem;border-bottom:1px solid var(--line)}
svg .score{fill:none;stroke:var(--score);stroke-width:1.5}svg .gap{fill:var(--band)}
svg .level{stroke:var(--alarm);stroke-width:1.5;stroke-dasharray:6 4}
svg line,svg path{vector-effect:non-scaling-stroke}
.ends{display:flex;justify-content:space-between;gap:1rem;color:var(--soft);font-size:.9rem}
ol.moments{list-style:none;padding:0;display:grid;gap:1rem;
grid-template-columns:repeat(auto-fill,minmax(min(15rem,100%),1fr))}
figure{margin:0}figure img{width:100%;height:auto;display:block}
figcaption{padding-top:.3rem}.over{color:var(--alarm);font-weight:600}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.35rem .8rem .35rem 0;
border-bottom:1px solid var(--line);overflow-wrap:anywhere}
.facts th{width:14rem}
@media(max-width:36rem){.facts th,.facts td{display:block;width:auto;padding-right:0}
.facts th{border:0;padding-bottom:0}}
@media print{svg,figure{break-inside:avoid}}
"""


@dataclass(frozen=True, eq=False)
class Moment:
    """The highest score within a little while: when, how high, and what was there.

    picture  (H, W, 1 or 3) uint8; heat (h, w) or None; clock is the time of day, "" if unknown
    """

    frame: int
    time: float
    score: float
    picture: np.ndarray
    heat: np.ndarray | None = None
    clock: str = ""


@dataclass(frozen=True, eq=False)
class Report:
    """All that the page says.

    summary    sentences, the first of them what was watched
    notices    what a reader must know before believing a number
    curve      (N,) highest scores of equal stretches of time, NaN where nothing was scored
    step       seconds of a stretch
    threshold  None where no alarms were asked for
    gaps       (from, seconds, why) of what was lost
    facts      how it was made
    """

    title: str
    summary: Sequence[str]
    moments: Sequence[Moment]
    curve: np.ndarray
    step: float
    threshold: float | None = None
    gaps: Sequence[tuple[float, float, str]] = ()
    notices: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def html(self) -> str:
        """The page. Every word in it is escaped, whatever a file is called."""
        parts = [f"<h1>{_text(self.title)}</h1>"]
        parts += [f"<p>{_text(words)}</p>" for words in self.summary]
        parts += [f'<p class="notice">{_text(words)}</p>' for words in self.notices]
        parts += ["<h2>Scores</h2>", self._curve()]
        parts += [f"<h2>The most suspicious moments ({len(self.moments)})</h2>", self._moments()]
        if self.gaps:
            rows = "".join(
                f"<tr><td>{clock(at)}</td><td>{seconds:.1f} s</td><td>{_text(why)}</td></tr>"
                for at, seconds, why in self.gaps
            )
            head = "<tr><th>from</th><th>for</th><th>why</th></tr>"
            parts.append(f"<h2>What was lost</h2><table>{head}{rows}</table>")
        rows = "".join(
            f'<tr><th scope="row">{_text(k)}</th><td>{_text(v)}</td></tr>'
            for k, v in self.facts.items()
        )
        parts.append(f'<h2>How this was made</h2><table class="facts">{rows}</table>')
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            '<link rel="icon" href="data:,">'
            f"<title>{_text(self.title)}</title><style>{CSS}</style></head>"
            f"<body><main>{''.join(parts)}</main></body></html>\n"
        )

    def _curve(self) -> str:
        """The scores over time as SVG, with the threshold and what was lost."""
        known = self.curve[np.isfinite(self.curve)]
        levels = [*known.tolist(), *([] if self.threshold is None else [self.threshold])]
        if not levels:
            return "<p>Nothing was scored.</p>"
        low, high = min(levels), max(levels)
        scale, end = 96 / ((high - low) or 1.0), len(self.curve) * self.step
        path, drawn = [], -1  # the line stops where something was lost, and nowhere else
        for i in np.flatnonzero(np.isfinite(self.curve)):
            lost = any(drawn - 1 < at / self.step < i + 1 for at, _, _ in self.gaps)
            pen = "L" if drawn >= 0 and not lost else "M"
            path.append(f"{pen}{i + 0.5:g} {98 - (self.curve[i] - low) * scale:.2f}")
            drawn = i
        if len(path) == 1:  # a line of one point is invisible
            path.append("h1")
        marks = "".join(
            f'<rect class="gap" x="{at / self.step:.2f}" y="0" height="100" '
            f'width="{max(seconds / self.step, 0.5):.2f}"></rect>'
            for at, seconds, _ in self.gaps
        )
        said = f"scores from {low:.4g} to {high:.4g} over {clock(end)}"
        words = f"scores from {low:.4g} to {high:.4g}"
        if self.threshold is not None:
            y = 98 - (self.threshold - low) * scale
            marks += (
                f'<line class="level" x1="0" x2="{len(self.curve)}" y1="{y:.2f}" y2="{y:.2f}">'
                "</line>"
            )
            over = int((known > self.threshold).sum())
            said += (
                f"; the threshold {self.threshold:.4g} is passed in {over} of {len(known)} parts"
            )
            words += f"; dashed: the threshold, {self.threshold:.4g}"
        words += "; shaded: lost" if self.gaps else ""
        return (
            f'<svg viewBox="0 0 {len(self.curve)} 100" preserveAspectRatio="none" role="img" '
            f'aria-label="{_text(said)}">{marks}<path class="score" d="{"".join(path)}"></path>'
            f'</svg><div class="ends"><span>{clock(0)}</span><span>{_text(words)}</span>'
            f"<span>{clock(end)}</span></div>"
        )

    def _moments(self) -> str:
        hottest = [float(np.max(m.heat)) for m in self.moments if m.heat is not None]
        top, items = max(hottest, default=0.0), []
        for place, m in enumerate(self.moments, 1):
            rgb = as_rgb(m.picture) if m.heat is None else heat_rgb(m.picture, m.heat, top)
            over = self.threshold is not None and m.score > self.threshold
            what = "with its heat map" if m.heat is not None else "as it was"
            alt = f"Frame {m.frame} at {clock(m.time)}, {what}"
            state = ' <span class="over">above the threshold</span>' if over else ""
            day = f" ({_text(m.clock)})" if m.clock else ""
            items.append(
                f'<li><figure><img alt="{_text(alt)}" width="{THUMB}" '
                f'height="{round(THUMB * rgb.shape[0] / rgb.shape[1])}" '
                f'src="{_data("image/webp", _webp(rgb, THUMB))}"><figcaption>{place}. '
                f"{clock(m.time)}{day}, frame {m.frame}, score {m.score:.4g}{state}</figcaption>"
                "</figure></li>"
            )
        return f'<ol class="moments">{"".join(items)}</ol>'


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss.s."""
    tenths = round(10 * seconds)
    return f"{tenths // 36000}:{tenths // 600 % 60:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"


def _text(words: str) -> str:
    return html.escape(str(words), quote=True)
