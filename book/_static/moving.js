// Things to move: brings the figures of vadlib/show/moving.py to life, without a kernel.
// Each figure holds a still picture, its data as JSON, and a caption; here the picture gives way
// to dials and a drawing, and the caption says what the dials have made. A module without imports:
// pages carry it inline, because browsers refuse files of modules to pages opened from a file.

// measures, as in vadlib/measure; fractions, ties count one half

export function auc(scores, labels) {
  const order = [...scores.keys()].sort((i, j) => scores[i] - scores[j]);
  let wins = 0, below = 0, positives = 0;
  for (let i = 0; i < order.length; ) {
    let j = i, abnormal = 0;
    while (j < order.length && scores[order[j]] === scores[order[i]]) abnormal += labels[order[j++]];
    const normal = j - i - abnormal;
    wins += abnormal * (below + normal / 2);
    below += normal;
    positives += abnormal;
    i = j;
  }
  return wins / (positives * (scores.length - positives));
}

const least = (values) => values.reduce((a, b) => Math.min(a, b));
const most = (values) => values.reduce((a, b) => Math.max(a, b));

export function normalise(series, scope) {
  if (scope === "none") return series;
  const all = scope === "global" ? series.flat() : null;
  return series.map((s) => {
    const low = least(all ?? s), range = most(all ?? s) - low;
    return s.map((v) => (range > 0 ? (v - low) / range : 0));
  });
}

export function smooth(series, sigma) {
  if (!sigma) return series;
  const radius = Math.floor(4 * sigma + 0.5), kernel = [];
  for (let k = -radius; k <= radius; k++) kernel.push(Math.exp(-0.5 * (k / sigma) ** 2));
  const total = kernel.reduce((a, b) => a + b);
  return series.map((s) => s.map((_, t) => {
    let sum = 0;
    kernel.forEach((weight, k) => {
      sum += weight * s[Math.min(Math.max(t + k - radius, 0), s.length - 1)];
    });
    return sum / total;
  }));
}

export function frameAuc(series, labels, average, single) {
  if (average === "micro") return auc(series.flat(), labels.flat());
  if (single === "pad") {
    const low = least(series.flat()), high = most(series.flat());
    series = series.map((s) => [low, ...s, high]);
    labels = labels.map((y) => [0, ...y, 1]);
  }
  const mixed = [...series.keys()].filter((i) => new Set(labels[i]).size === 2);
  const found = mixed.map((i) => auc(series[i], labels[i]));
  return found.reduce((a, b) => a + b, 0) / found.length;
}

const percent = (x, digits = 1) =>
  `${(Math.floor(100 * 10 ** digits * x + 0.5) / 10 ** digits).toFixed(digits)} %`;

// drawing: SVG as text, in the page's colours (see book.css)

const W = 640, H = 150;

function runs(labels) {
  const found = [];
  labels.forEach((y, t) => {
    if (y && !labels[t - 1]) found.push([t, t + 1]);
    else if (y) found[found.length - 1][1] = t + 1;
  });
  return found;
}

function strip(scores, labels, more = () => "") {
  const low = least(scores), range = most(scores) - low || 1;
  const x = (t) => (W * t) / scores.length, y = (s) => H - 8 - ((H - 16) * (s - low)) / range;
  const bands = runs(labels)
    .map(([a, b]) => `<rect class="truth" x="${x(a)}" y="0" width="${x(b - a)}" height="${H}"/>`);
  const line = scores.map((s, t) => `${x(t + 0.5).toFixed(1)},${y(s).toFixed(1)}`).join(" ");
  return `<svg viewBox="0 0 ${W} ${H}" aria-hidden="true">${bands.join("")}` +
    `<polyline class="line" points="${line}"/>${more(x, y)}</svg>`;
}

function curve(points, [px, py], [across, up], low = 0, high = 1) {
  const x = (v) => 18 + 130 * v, y = (v) => 134 - (130 * (v - low)) / (high - low);
  const line = points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ");
  return `<svg class="square" viewBox="0 0 152 152" aria-hidden="true">` +
    `<rect class="frame" x="18" y="4" width="130" height="130"/>` +
    `<polyline class="line" points="${line}"/>` +
    `<circle class="dot" cx="${x(px)}" cy="${y(py)}" r="5"/>` +
    `<text x="83" y="148" text-anchor="middle">${across} →</text>` +
    `<text transform="translate(12 69) rotate(-90)" text-anchor="middle">${up} →</text></svg>`;
}

const legend = (...parts) => `<div class="vad-legend">${parts
  .map(([kind, words]) => `<i class="${kind}"></i>${words}`).join("")}</div>`;
const SCORE = ["line", "score"], TRUTH = ["truth", "abnormal in truth"];

// one function a kind: data -> how to draw values into a place; returns what is to be said

const bars = (found) => `<div class="bars">${found.map(([name, value, won]) =>
  `<span>${name}</span><meter min="0" max="100" value="${100 * value}" aria-hidden="true">` +
  `</meter><span>${(100 * value).toFixed(1)}` +
  `${won ? ` ${won > 0 ? "▲" : "▼"}${Math.abs(won)}` : ""}</span>`).join("")}</div>`;

// names from the highest value down; equal ones in the order they came
const order = (found) => [...found].sort((a, b) =>
  Math.round(1e9 * b[1]) - Math.round(1e9 * a[1])).map(([name]) => name);

const kinds = {
  scrubber(data) {
    const pictures = data.frames.map((source) => Object.assign(new Image(), { src: source }));
    const [h, w, maps] = data.heat;
    const warm = new OffscreenCanvas(w, h);
    return (place, { at, warm: shown }) => {
      if (!place.firstChild) place.innerHTML = "<canvas></canvas><div></div>";
      const [canvas, below] = place.children, picture = pictures[at];
      const paint = () => {
        canvas.width = picture.naturalWidth;
        canvas.height = picture.naturalHeight;
        const pen = canvas.getContext("2d");
        pen.drawImage(picture, 0, 0);
        if (!shown) return;
        const bytes = Uint8Array.from(atob(maps[at]), (c) => c.charCodeAt(0));
        const image = new ImageData(w, h);
        bytes.forEach((v, i) => image.data.set([255, 110 + v / 2, 0, 0.8 * v], 4 * i));
        warm.getContext("2d").putImageData(image, 0, 0);
        pen.drawImage(warm, 0, 0, canvas.width, canvas.height);
      };
      picture.decode().then(paint);
      below.innerHTML = strip(data.scores, data.labels, (x) =>
        `<rect class="cursor" x="${x(at)}" y="0" width="3" height="${H}"/>`) +
        legend(SCORE, TRUTH);
      const share = data.scores.filter((s) => s < data.scores[at]).length / data.scores.length;
      const truth = data.labels[at] ? "abnormal" : "normal";
      return `Frame ${data.index[at]}, in truth ${truth}: its score is above that of ` +
        `${percent(share, 0)} of this clip's frames.`;
    };
  },

  eye(data) {
    const [w, h] = data.size;
    return (place, { kind, step, ring }) => {
      const at = Math.min(step, data.scenes[kind].length - 1);
      const [effect, picture, [x0, y0, x1, y1]] = data.scenes[kind][at];
      const found = Object.entries(data.aucs).map(([name, row]) => [name, row[kind][at]]);
      place.innerHTML = `<svg viewBox="0 0 ${w} ${h}"><image href="${picture}" width="${w}" height="${h}"/>` +
        (ring ? `<rect class="ring" x="${x0}" y="${y0}" width="${x1 - x0}" height="${y1 - y0}"/>` : "") +
        `</svg>` + bars(found);
      return `${kind}, effect ${effect}. AUC: ` +
        `${found.map(([name, value]) => `${name} ${percent(value)}`).join(", ")}.`;
    };
  },

  threshold(data) {
    const { scores, labels } = data, abnormal = labels.reduce((a, b) => a + b);
    const count = (level) => {
      let caught = 0, wrong = 0;
      scores.forEach((s, t) => { if (s >= level) labels[t] ? caught++ : wrong++; });
      return [caught, wrong];
    };
    const rates = ([caught, wrong]) => [wrong / (scores.length - abnormal), caught / abnormal];
    const levels = [...new Set(scores)].sort((a, b) => b - a);
    const every = Math.ceil(levels.length / 300); // the curve is drawn, not measured, from these
    const points = [[0, 0], ...levels.filter((_, i) => i % every === 0)
      .map((level) => rates(count(level))), [1, 1]];
    return (place, { level }) => {
      const [caught, wrong] = count(level);
      const alarms = runs(scores.map((s) => +(s >= level)));
      place.innerHTML = strip(scores, labels, (x, y) =>
        alarms.map(([a, b]) =>
          `<rect class="alarm" x="${x(a)}" y="0" width="${x(b - a)}" height="6"/>`).join("") +
        `<line class="level" x1="0" x2="${W}" y1="${y(level)}" y2="${y(level)}"/>`,
      ) + curve(points, rates([caught, wrong]), ["false alarms", "caught"]) +
        legend(SCORE, TRUTH, ["alarm", "alarms"]);
      const right = caught + wrong ? percent(caught / (caught + wrong), 0) : "none";
      return `At ${Number(level.toPrecision(6))}: ${caught} of ${abnormal} abnormal frames raise an alarm, ` +
        `and ${wrong} of ${scores.length - abnormal} normal ones. Alarms that are right: ` +
        `${right}. The AUC, whatever the threshold: ${percent(data.auc)}.`;
    };
  },

  psi(data) {
    const values = data.sweep.map(([, v]) => v), low = least(values), high = most(values);
    return (place, { psi }) => {
      const fused = data.hulls.map((hull) => most(hull.map(([a, m]) => psi * a + (1 - psi) * m)));
      const value = auc(fused, data.labels);
      place.innerHTML = strip(fused, data.labels) +
        curve(data.sweep, [psi, value], ["ψ", "AUC"], low - 0.01, high + 0.01) +
        legend(SCORE, TRUTH);
      return `ψ = ${psi.toFixed(2)}: ${percent(psi, 0)} appearance, ` +
        `${percent(1 - psi, 0)} motion. AUC of these videos: ${percent(value)}.`;
    };
  },

  protocols(data) {
    const scopes = { none: "none", "each video by itself": "per_video",
      "all videos together": "global" };
    const averages = { "all frames in one pool": ["micro", "skip"],
      "mean over videos, those of one class left out": ["macro", "skip"],
      "mean over videos, padded": ["macro", "pad"] };
    const aucs = ({ scope, sigma, average, pairing }) =>
      Object.entries(data.methods).map(([name, { first, scores }]) => {
        const series = smooth(normalise(scores, scopes[scope]), sigma);
        const met = series.map((s, v) => {
          const start = { "by frame number": first[v], "from the first label": 0 }[pairing]
            ?? data.labels[v].length - s.length;
          return data.labels[v].slice(start, start + s.length);
        });
        return [name, frameAuc(series, met, ...averages[average])];
      });
    const start = Object.fromEntries(data.dials.map(({ name, value }) => [name, value]));
    const before = data.ranked ? order(aucs(start)) : [];
    return (place, values) => {
      let found = aucs(values);
      if (data.ranked) {
        const of = Object.fromEntries(found);
        found = order(found).map((name, i) => [name, of[name], before.indexOf(name) - i]);
      }
      place.innerHTML = bars(found);
      return `AUC: ${found.map(([name, value, won], i) =>
        `${data.ranked ? `${i + 1}. ` : ""}${name} ${percent(value)}` +
        `${won ? ` (was ${i + 1 + won}.)` : ""}`).join(", ")}.`;
    };
  },
};

// dials: a label around each native control, which brings keyboard and touch with it

function dial({ name, label, value, low, high, step, options, told }, changed) {
  const row = document.createElement("label");
  const control = document.createElement(options.length ? "select" : "input");
  const words = document.createElement("span"), now = document.createElement("output");
  words.textContent = label;
  if (options.length) {
    control.append(...options.map((text) => new Option(text, text)));
    control.value = value;
  } else if (typeof value === "boolean") {
    Object.assign(control, { type: "checkbox", checked: value });
  } else {
    Object.assign(control, { type: "range", min: low, max: high, step, value });
  }
  control.name = name;
  const read = () => {
    if (control.type === "checkbox") return control.checked;
    if (control.type !== "range") return control.value;
    now.textContent = control.value;
    return Number(control.value);
  };
  control.addEventListener("input", changed);
  row.append(words, control);
  if (control.type === "range" && told) row.append(now);
  return [row, read];
}

export function wake(figure) {
  const data = JSON.parse(figure.querySelector("script").textContent);
  const place = document.createElement("div"), panel = document.createElement("div");
  const said = figure.querySelector("figcaption");
  place.className = "vad-drawing";
  panel.className = "vad-dials";
  said.setAttribute("aria-live", "polite");
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", figure.querySelector("img").alt);
  const draw = kinds[figure.dataset.kind](data), read = {};
  const show = () => {
    const values = Object.fromEntries(Object.entries(read).map(([name, of]) => [name, of()]));
    said.textContent = draw(place, values);
  };
  for (const part of data.dials) {
    const [row, value] = dial(part, show);
    panel.append(row);
    read[part.name] = value;
  }
  figure.querySelector("img").hidden = true;
  figure.prepend(panel, place);
  show();
}

document.querySelectorAll("figure.vad-move[data-kind]").forEach(wake);
