/*
 * Draws the figures of a page with plotly.
 *
 *   <div class="chart" data-figure-url="…" data-live="true|false" data-group="page"></div>
 *   <div class="chart" data-figure="{…}"></div>    a figure that came with the page
 *
 * The address answers JSON {data, layout, config}. A live chart asks again every 2 s with
 * If-None-Match; the header X-Final: 1 ends that. Charts of one data-group share the x range.
 *
 * Colours: a figure may name a token of chaosweb.css as "var(--cw-red)", or use one of the plain
 * colours below, which follow the light and dark theme. Where the page has not loaded plotly, it is
 * loaded from this script's data-plotly once there is a figure.
 */
(() => {
  "use strict";
  const POLL_MS = 2000;
  const FIGURES = ".chart[data-figure-url], .chart[data-figure]";
  const TOKENS = {
    "#3f51d1": "--cw-series-1",
    "#c2410c": "--cw-series-2",
    "#0f766e": "--cw-series-3",
    "#7c3aed": "--cw-series-4",
    "#b45309": "--cw-series-5",
    "#be185d": "--cw-series-6",
    "#c92a2a": "--cw-red",
    "#2b8a3e": "--cw-green",
    "#e67700": "--cw-amber",
    "#868e96": "--cw-slate",
  };
  const charts = new Map(); // element -> {figure, etag, timer, final, drawn}
  const { plotly } = document.currentScript.dataset;
  let probe;
  let loading;

  const plotlyReady = () => {
    if (window.Plotly) return Promise.resolve();
    loading ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = plotly;
      script.addEventListener("load", resolve);
      script.addEventListener("error", () => {
        loading = undefined;
        script.remove();
        reject(new Error("a part of the page could not be loaded"));
      });
      document.head.append(script);
    });
    return loading;
  };

  const resolve = (name) => {
    if (!probe) {
      probe = document.createElement("span");
      probe.hidden = true;
      document.body.append(probe);
    }
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };

  const themed = (value) => {
    if (typeof value === "string") {
      const named = /^var\((--[\w-]+)\)$/.exec(value);
      if (named) return resolve(named[1]);
      const token = value.length === 7 && TOKENS[value.toLowerCase()];
      return token ? resolve(token) : value;
    }
    if (Array.isArray(value)) return typeof value[0] === "number" ? value : value.map(themed);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, themed(inner)]));
    }
    return value;
  };

  const fill = (target, defaults) => {
    Object.entries(defaults).forEach(([key, value]) => {
      if (value && typeof value === "object" && !Array.isArray(value)) {
        target[key] = fill({ ...(target[key] || {}) }, value);
      } else if (target[key] === undefined) {
        target[key] = value;
      }
    });
    return target;
  };

  const dress = (figure, width) => {
    const text = resolve("--cw-text-muted");
    const grid = resolve("--cw-chart-grid");
    const axis = {
      gridcolor: grid,
      linecolor: grid,
      zerolinecolor: grid,
      tickcolor: grid,
      tickfont: { color: text, size: 11 },
      title: { font: { color: text, size: 11 } },
    };
    const layout = fill(themed(figure.layout || {}), {
      paper_bgcolor: resolve("--cw-surface"), // plotly outlines its hover line in it
      plot_bgcolor: resolve("--cw-surface"),
      colorway: [1, 2, 3, 4, 5, 6].map((n) => resolve(`--cw-series-${n}`)),
      font: { color: resolve("--cw-text"), family: getComputedStyle(document.body).fontFamily, size: 12 },
      margin: { l: 52, r: 12, t: 10, b: 26 },
      hovermode: "x unified",
      hoverlabel: {
        bgcolor: resolve("--cw-surface"),
        bordercolor: resolve("--cw-border-strong"),
        font: { color: resolve("--cw-text"), size: 12 },
      },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11 } },
      uirevision: "keep", // a reader's zoom survives the next poll
      autosize: true,
    });
    ["xaxis", "yaxis", ...Object.keys(layout).filter((key) => /^[xy]axis\d+$/.test(key))]
      .forEach((key) => { layout[key] = fill({ ...(layout[key] || {}) }, axis); });
    layout.xaxis = fill(layout.xaxis, { spikethickness: 1, spikecolor: text, spikedash: "dot" });
    layout.yaxis = fill(layout.yaxis, { showspikes: false });
    if (layout.xaxis.type === "date") layout.xaxis = fill(layout.xaxis, {
      tickformat: "%H:%M:%S", nticks: Math.max(3, Math.floor(width / 75)), tickangle: 0,
    });
    // The mode bar reads its colours from the layout only.
    layout.modebar = fill({ ...(layout.modebar || {}) }, {
      bgcolor: "rgba(0,0,0,0)", color: text, activecolor: resolve("--cw-text"),
    });
    const config = {
      ...fill({ ...(figure.config || {}) }, { responsive: true, scrollZoom: false }),
      displaylogo: false,
      toImageButtonOptions: { format: "svg", filename: "chaosweb" }, // a PNG needs img-src blob:
      plotlyServerURL: "", // plotly's “Share chart” would send the data to its makers
      modeBarButtonsToRemove: [
        "sendChartToCloud", "sendDataToCloud", "select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d",
      ],
    };
    return [themed(figure.data || []), layout, config];
  };

  const note = (element, text) => {
    const box = element.parentElement;
    let line = box.querySelector(":scope > .chart-note[role=status]");
    if (!text) {
      line?.remove();
      return;
    }
    if (!line) {
      line = document.createElement("p");
      line.className = "chart-note";
      line.setAttribute("role", "status");
      element.after(line);
    }
    if (line.textContent !== text) line.textContent = text;
  };

  const share = (element, event) => {
    const ranged = "xaxis.range[0]" in event;
    if (!ranged && !event["xaxis.autorange"]) return;
    const state = charts.get(element);
    if (!state || state.following) return;
    const change = ranged
      ? { "xaxis.range": [event["xaxis.range[0]"], event["xaxis.range[1]"]] }
      : { "xaxis.autorange": true };
    charts.forEach((other, target) => {
      if (target === element || !other.drawn || target.dataset.group !== element.dataset.group) return;
      other.following = true;
      window.Plotly.relayout(target, change).finally(() => { other.following = false; });
    });
  };

  const draw = async (element, state) => {
    await plotlyReady();
    if (!charts.has(element)) return; // it has left the page meanwhile
    const first = !state.drawn;
    if (first) element.replaceChildren();
    await window.Plotly.react(element, ...dress(state.figure, element.clientWidth));
    element.classList.remove("is-loading", "is-failed");
    if (!first) return;
    state.drawn = true;
    if (element.dataset.group) element.on("plotly_relayout", (event) => share(element, event));
  };

  const fail = (element, state, why) => {
    if (state.drawn) {
      note(element, `Data delayed: ${why}. Last drawn ${state.drawnAt} UTC; still trying.`);
      return;
    }
    element.classList.remove("is-loading");
    element.classList.add("is-failed");
    const text = document.createElement("p");
    text.textContent = `The chart cannot be drawn: ${why}.`;
    const again = document.createElement("button");
    again.type = "button";
    again.className = "btn btn-sm";
    again.textContent = "Try again";
    again.addEventListener("click", () => load(element, state));
    element.replaceChildren(text, again);
  };

  const why = (response) => {
    if (response.redirected || response.status === 401 || response.status === 403) return "sign in again";
    if (response.status === 404) return "there is no such figure";
    return `the server answered ${response.status}`;
  };

  const loadOwn = async (element, state) => {
    try {
      state.figure = JSON.parse(element.dataset.figure);
      await draw(element, state);
    } catch (error) {
      fail(element, state, error.message);
    }
  };

  const load = async (element, state) => {
    if (element.dataset.figure) {
      await loadOwn(element, state);
      return;
    }
    clearTimeout(state.timer);
    const live = element.dataset.live === "true";
    if (live && document.hidden && state.drawn) {
      state.timer = setTimeout(() => load(element, state), POLL_MS);
      return;
    }
    try {
      const headers = { Accept: "application/json", "X-Requested-With": "XMLHttpRequest" };
      if (state.etag) headers["If-None-Match"] = state.etag;
      const response = await fetch(element.dataset.figureUrl, {
        headers, credentials: "same-origin", signal: AbortSignal.timeout(10000),
      });
      state.final = response.headers.get("X-Final") === "1";
      const isJson = (response.headers.get("Content-Type") || "").includes("json");
      if (response.status === 304) {
        note(element, "");
      } else if (response.ok && isJson && !response.redirected) {
        state.etag = response.headers.get("ETag");
        state.figure = await response.json();
        await draw(element, state);
        state.drawnAt = new Date().toISOString().slice(11, 19);
        note(element, "");
      } else {
        fail(element, state, why(response));
      }
    } catch (error) {
      const late = error.name === "TimeoutError";
      const network = error instanceof TypeError && !state.figure;
      fail(element, state, late ? "the server takes too long" : network || state.drawn ? "the server does not answer" : error.message);
    }
    if (live && !state.final && document.contains(element)) {
      state.timer = setTimeout(() => load(element, state), POLL_MS);
    }
  };

  const start = (root) => {
    const found = [...root.querySelectorAll(FIGURES)];
    if (root.matches?.(FIGURES)) found.push(root);
    found.filter((element) => !charts.has(element)).forEach((element) => {
      const state = {};
      charts.set(element, state);
      element.classList.add("is-loading");
      load(element, state);
    });
  };

  const forget = (root) => {
    charts.forEach((state, element) => {
      if (element !== root && !root.contains(element)) return;
      clearTimeout(state.timer);
      if (state.drawn) window.Plotly.purge(element);
      charts.delete(element);
    });
  };

  document.addEventListener("chaosweb:theme", () => {
    charts.forEach((state, element) => state.drawn && draw(element, state));
  });
  document.addEventListener("htmx:load", (event) => start(event.detail.elt));
  document.addEventListener("htmx:beforeCleanupElement", (event) => forget(event.target));
  start(document);
  window.ChaosCharts = { start, forget };
})();
