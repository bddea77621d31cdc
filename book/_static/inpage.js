// A detector in the page: MAAM-Net on the reader's own machine (vadlib/show/inpage.py). It stands
// behind moving.js in one script, and uses its drawing. Nothing is fetched before a click, nothing
// but files of this book then, and no picture leaves the page.

const RUNTIME = new URL("_static/ort/", document.baseURI);
const MEGABYTES = "@MEGABYTES@"; // of runtime and network; filled in when the page is built
const TOLERANCE = 1e-4;

async function unpack(text, Numbers) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Numbers(await new Response(stream).arrayBuffer());
}

async function load([h, w]) {
  const ort = await import(new URL("ort.wasm.bundle.min.mjs", RUNTIME).href);
  ort.env.wasm.numThreads = 1; // more would ask for headers that a plain web server does not send
  ort.env.wasm.wasmPaths = { wasm: new URL("ort-wasm-simd-threaded.wasm", RUNTIME).href };
  const session = await ort.InferenceSession.create(new URL("maam.onnx", RUNTIME).href);
  return async (frame) => {
    const made = await session.run({ frame: new ort.Tensor("float32", frame, [1, 3, h, w]) });
    return { painted: made.painted.data, flow: made.flow.data };
  };
}

// (H, W) RGBA as a canvas holds it -> the network's input: three planes, 0 to 255
function planes(rgba) {
  const n = rgba.length / 4, frame = new Float32Array(3 * n);
  for (let i = 0; i < n; i++) for (let c = 0; c < 3; c++) frame[c * n + i] = rgba[4 * i + c];
  return frame;
}

// Algorithm 1, as in vadlib: errors summed over channels, then over patches

const appearance = (frame, painted) => {
  const n = frame.length / 3;
  return Float64Array.from({ length: n }, (_, i) => [0, n, 2 * n]
    .reduce((sum, c) => sum + (frame[c + i] / 127.5 - 1 - painted[c + i]) ** 2, 0));
};

const motion = (seen, flow) => {
  const n = seen.length / 2;
  return Float64Array.from({ length: n }, (_, i) =>
    Math.abs(seen[i] - flow[i]) + Math.abs(seen[n + i] - flow[n + i]));
};

function pscd(error, [H, W], [h, w], [down, right]) {
  const rows = Math.ceil(H / down), columns = Math.ceil(W / right);
  const top = Math.floor(Math.max((rows - 1) * down + h - H, 0) / 2);
  const left = Math.floor(Math.max((columns - 1) * right + w - W, 0) / 2);
  const sums = new Float64Array(rows * columns);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) {
    const y0 = r * down - top, x0 = c * right - left;
    for (let y = Math.max(y0, 0); y < Math.min(y0 + h, H); y++)
      for (let x = Math.max(x0, 0); x < Math.min(x0 + w, W); x++)
        sums[r * columns + c] += error[y * W + x];
  }
  return { sums, rows, columns };
}

// pictures

function paint(canvas, w, h, rgba) {
  canvas.width = w;
  canvas.height = h;
  canvas.getContext("2d").putImageData(new ImageData(rgba, w, h), 0, 0);
}

const opaque = (n, colour) => {
  const rgba = new Uint8ClampedArray(4 * n);
  for (let i = 0; i < n; i++) rgba.set([...colour(i), 255], 4 * i);
  return rgba;
};

// hue is the direction, white is rest, full colour at `limit` pixels a frame; see flow_rgb
const coloured = (flow, limit) => opaque(flow.length / 2, (i) => {
  const dx = flow[i], dy = flow[flow.length / 2 + i], level = Math.min(Math.hypot(dx, dy) / limit, 1);
  const hue = (6 * Math.atan2(dy, dx)) / (2 * Math.PI) + 6, value = 1 - 0.15 * level;
  return [5, 3, 1].map((k) => {
    const at = (k + hue) % 6;
    return 255 * value * (1 - level * Math.max(0, Math.min(at, 4 - at, 1)));
  });
});

function warmed(canvas, rgba, [h, w], { sums, rows, columns }, limit) {
  const warm = new OffscreenCanvas(columns, rows), image = new ImageData(columns, rows);
  sums.forEach((sum, i) => {
    const v = 255 * Math.min(sum / limit, 1);
    image.data.set([255, 110 + v / 2, 0, 0.8 * v], 4 * i);
  });
  warm.getContext("2d").putImageData(image, 0, 0);
  paint(canvas, w, h, rgba);
  canvas.getContext("2d").drawImage(warm, 0, 0, w, h);
}

// any picture, cut to the shape of a frame around its middle
function pixels(picture, width, height, [h, w]) {
  const pen = new OffscreenCanvas(w, h).getContext("2d", { willReadFrequently: true });
  const scale = Math.min(width / w, height / h), [cw, ch] = [w * scale, h * scale];
  pen.imageSmoothingQuality = "high";
  pen.drawImage(picture, (width - cw) / 2, (height - ch) / 2, cw, ch, 0, 0, w, h);
  return pen.getImageData(0, 0, w, h).data;
}

async function fromFile(file, size) {
  const picture = await createImageBitmap(file);
  return pixels(picture, picture.width, picture.height, size);
}

async function fromWebcam(size) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: true });
  try {
    const video = Object.assign(document.createElement("video"), { srcObject: stream, muted: true });
    await video.play();
    return pixels(video, video.videoWidth, video.videoHeight, size);
  } finally {
    stream.getTracks().forEach((track) => track.stop()); // one frame, and the camera is off again
  }
}

// the page

const PANELS = {
  seen: "what it is shown",
  painted: "what it paints",
  flow: "the motion it expects",
  measured: "the motion measured",
  error: "where it errs",
};

function button(words, clicked) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: words });
  made.addEventListener("click", clicked);
  return made;
}

export async function device(figure) {
  const data = JSON.parse(figure.querySelector(":scope > script").textContent), [h, w] = data.size;
  const said = figure.querySelector(":scope > figcaption"), panel = document.createElement("div");
  panel.className = "vad-dials";
  said.setAttribute("aria-live", "polite");
  if (location.protocol === "file:") {
    said.textContent = "The film stands in place of the detector: this page was opened from a file, " +
      "and browsers hand no files to the scripts of such a page. `make serve` shows the book at an " +
      "address of your own machine, where it runs; so does the published book.";
    return;
  }
  said.textContent = "Nothing of it has been loaded yet. A click fetches it from this book; " +
    "from then on it runs without a connection.";
  const start = button(`Load the detector (${MEGABYTES} MB)`, async () => {
    start.disabled = true;
    said.textContent = "Loading …";
    try {
      await run();
    } catch (error) {
      panel.replaceChildren(start);
      start.disabled = false;
      said.textContent = `It did not load, and the film stays: ${error.message}`;
    }
  });
  panel.append(start);
  figure.prepend(panel);

  async function run() {
    const network = await load(data.size);
    const frames = await Promise.all(data.frames.map(async (source) => {
      const picture = await createImageBitmap(await (await fetch(source)).blob(),
        { colorSpaceConversion: "none" });
      return pixels(picture, w, h, data.size);
    }));
    const steps = await unpack(data.flow, Int16Array), n = h * w;
    const flows = frames.map((_, t) => Float32Array.from({ length: 2 * n }, (_, i) =>
      steps[2 * n * t + 2 * (i % n) + (i < n ? 0 : 1)] * data.unit));
    const known = await unpack(data.outputs, Float32Array), count = known.length / frames.length;

    async function look(rgba, measured) {
      const frame = planes(rgba), before = performance.now();
      const { painted, flow } = await network(frame), time = performance.now() - before;
      const app = pscd(appearance(frame, painted), data.size, data.patch, data.stride);
      const map = { ...app };
      if (measured) {
        const mot = pscd(motion(measured, flow), data.size, data.patch, data.stride);
        map.sums = app.sums.map((a, i) => data.psi * a + (1 - data.psi) * mot.sums[i]);
      }
      return { rgba, measured, painted, flow, map, time, score: most(map.sums) };
    }

    // every frame of the clip, against what PyTorch made of it when the page was built
    const looks = [], apart = [];
    for (const [t, rgba] of frames.entries()) {
      const one = await look(rgba, flows[t]), all = [...one.painted, ...one.flow];
      looks.push(one);
      apart.push(most(Array.from({ length: count }, (_, k) =>
        Math.abs(all[k * data.every] - known[t * count + k]))));
    }
    const sure = apart.filter((_, t) => !data.near[t]), near = apart.filter((_, t) => data.near[t]);
    if (!(most(sure) < TOLERANCE))
      throw new Error(`this browser's numbers are ${most(sure).toExponential(1)} away from PyTorch's`);
    const checked = `Checked: on ${sure.length} frames of the clip, ${count} numbers of each, your ` +
      `browser and PyTorch differ by ${most(sure).toExponential(1)} at most` + (near.length
        ? `; on ${near.length} more, where a rounding decides what the memory keeps, by ` +
          `${most(near).toExponential(1)}.` : ".");
    show(looks, checked, look);
    figure.detector = { network, look, frames, looks }; // for tests, and for the console
  }

  function show(looks, checked, look) {
    const place = document.createElement("div"), strips = document.createElement("div");
    place.className = "vad-panels";
    strips.className = "vad-drawing";
    const canvases = {}, high = most(looks.map((one) => one.score));
    for (const [name, words] of Object.entries(PANELS)) {
      const box = document.createElement("div"), canvas = document.createElement("canvas");
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", words);
      box.append(canvas, words);
      place.append(box);
      canvases[name] = canvas;
    }
    const draw = (one) => {
      paint(canvases.seen, w, h, one.rgba);
      paint(canvases.painted, w, h, opaque(h * w, (i) =>
        [0, 1, 2].map((c) => 127.5 * (one.painted[c * h * w + i] + 1))));
      paint(canvases.flow, w, h, coloured(one.flow, 4));
      canvases.measured.parentElement.hidden = strips.hidden = !one.measured;
      if (one.measured) paint(canvases.measured, w, h, coloured(one.measured, 4));
      warmed(canvases.error, one.rgba, data.size, one.map, one.measured ? high : one.score);
    };
    const scores = looks.map((one) => one.score);
    const clip = () => {
      const t = at(), one = looks[t], lower = scores.filter((s) => s < one.score).length;
      draw(one);
      strips.innerHTML = strip(scores, data.labels, (x) =>
        `<rect class="cursor" x="${x(t)}" y="0" width="3" height="${H}"/>`) + legend(SCORE, TRUTH);
      said.textContent = `Frame ${data.index[t]}, in truth ${data.labels[t] ? "abnormal" : "normal"}: ` +
        `score ${one.score.toFixed(2)} here, ${data.scores[t].toFixed(2)} in PyTorch, above that of ` +
        `${percent(lower / scores.length, 0)} of this clip's frames.`;
    };
    const own = async (source, words) => {
      try {
        const one = await look(await source(), null), [low, top] = data.usual;
        draw(one);
        said.textContent = `${words}, cut to ${w} × ${h}: its worst patch scores ` +
          `${one.score.toFixed(1)} for appearance, ${one.score > top ? "above" : "within or below"} ` +
          `the ${low.toFixed(1)} to ${top.toFixed(1)} of normal frames of Plaza. ` +
          `One picture has no motion to be measured. It took ${one.time.toFixed(0)} ms.`;
      } catch (error) {
        said.textContent = `No picture came: ${error.message}`;
      }
    };
    const [row, at] = dial({ name: "frame", label: "frame of the clip", value: 0, low: 0,
      high: looks.length - 1, step: 1, options: [] }, clip);
    const file = document.createElement("label"), chosen = document.createElement("input");
    Object.assign(chosen, { type: "file", accept: "image/*", name: "picture" });
    chosen.addEventListener("change", () =>
      chosen.files[0] && own(() => fromFile(chosen.files[0], data.size), "Your picture"));
    file.append("a picture of yours", chosen);
    const camera = button("one frame of the webcam", () =>
      own(() => fromWebcam(data.size), "Your frame"));
    if (!navigator.mediaDevices?.getUserMedia)
      Object.assign(camera, { disabled: true, textContent: "webcam: on https and localhost only" });
    panel.replaceChildren(row, file, camera);
    figure.querySelector(".vad-film").hidden = true;
    const note = Object.assign(document.createElement("p"), { textContent: checked });
    note.className = "vad-checked";
    panel.after(place, strips);
    said.before(note);
    clip();
    row.querySelector("input").focus();
  }
}

document.querySelectorAll("figure.vad-inpage").forEach(device);
