"use strict";
(() => {
  const data = JSON.parse(document.getElementById("comparison").textContent);
  const light = ["#0072B2", "#D55E00", "#009E73", "#B3518A", "#8A6D00", "#3A8FC4"];
  const dark = ["#56B4E9", "#FF9A4D", "#2FD3A4", "#E8A0CB", "#F0E442", "#A9D6F5"];
  const dashes = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
  const night = matchMedia("(prefers-color-scheme: dark)");
  const PAPER = 640; // pixels across, which figures do not find out by themselves
  let printing = false;
  const colors = () => (night.matches && !printing ? dark : light);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const short = (text) => (text.length > 34 ? text.slice(0, 33) + "…" : text);
  const faded = (hex, share) => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    return `rgba(${r},${g},${b},${share})`;
  };
  const percent = (value) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(0)}%`);
  const grid = Array.from({ length: 101 }, (_, k) => k / 100);

  const axis = (title, more) => ({
    title: { text: title, standoff: 8 }, gridcolor: css("--grid"), linecolor: css("--line"), zeroline: false,
    automargin: true, ...more,
  });
  const share = (title) => axis(title, { range: [-0.02, 1.02], tickformat: ".0%", dtick: 0.2 });
  const layout = (more) => ({
    margin: { l: 56, r: 10, t: 10, b: 48 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, Arial, sans-serif", size: 13, color: css("--ink") }, hovermode: "closest",
    hoverlabel: { bgcolor: css("--card"), font: { color: css("--ink") } },
    showlegend: true, legend: { orientation: "h", x: 0, y: -0.2, yanchor: "top", font: { size: 12 } }, ...more,
  });
  const chance = (x, y, name) => ({
    x, y, name, mode: "lines", hoverinfo: "skip", line: { color: css("--soft"), dash: "dot", width: 1.3 },
  });
  const band = (x, low, high, color, group) => {
    const pieces = [[]]; // what is left out parts the band
    x.forEach((_, k) => {
      if (low[k] === null || high[k] === null) pieces.push([]);
      else pieces[pieces.length - 1].push(k);
    });
    const around = { x: [], y: [] };
    pieces.filter((at) => at.length > 1).forEach((at) => {
      const back = [...at].reverse();
      around.x.push(...at.map((k) => x[k]), ...back.map((k) => x[k]), null);
      around.y.push(...at.map((k) => low[k]), ...back.map((k) => high[k]), null);
    });
    return {
      ...around, fill: "toself", fillcolor: faded(color, 0.13), line: { width: 0 }, mode: "lines", hoverinfo: "skip",
      showlegend: false, legendgroup: group,
    };
  };
  const line = (x, y, run, k, more) => ({
    x, y, mode: "lines", name: plain(short(run.name)), legendgroup: `r${k}`,
    line: { color: colors()[k], width: 2.4, dash: dashes[k] }, ...more,
  });
  const point = (k) => ({
    x: [null], y: [null], mode: "markers", showlegend: false, legendgroup: `r${k}`, name: "at the threshold",
    marker: { size: 12, color: colors()[k], line: { width: 2, color: css("--mark") } },
  });

  const marked = {}; // by figure, which traces are the marks at the threshold
  const draw = (name, traces, plan) => {
    const place = document.getElementById(`figure-${name}`);
    const fitted = printing ? { ...plan, width: PAPER, autosize: false } : { ...plan, autosize: true };
    if (place) Plotly.react(place, traces, fitted, { displayModeBar: false, responsive: true });
  };

  function roc() {
    const traces = [chance([0, 1], [0, 1], "chance")];
    data.runs.forEach((run, k) => {
      if (run.curve.sensitivity_low.length) {
        traces.push(band(grid, run.curve.sensitivity_low, run.curve.sensitivity_high, colors()[k], `r${k}`));
      }
      traces.push(line([0, ...grid], [0, ...run.curve.sensitivity], run, k));
    });
    marked.roc = data.runs.map((_, k) => traces.push(point(k)) - 1);
    draw("roc", traces, layout({ xaxis: share("False-positive rate (1 − specificity)"), yaxis: share("Sensitivity") }));
  }
  function precisionRecall() {
    const base = data.runs[0].decisions.prevalence;
    const traces = [chance([0, 1], [base, base], `prevalence ${percent(base)}`)];
    data.runs.forEach((run, k) => {
      if (run.curve.precision_low.length) {
        traces.push(band(grid, run.curve.precision_low, run.curve.precision_high, colors()[k], `r${k}`));
      }
      traces.push(line(grid, run.curve.precision, run, k));
    });
    marked.pr = data.runs.map((_, k) => traces.push(point(k)) - 1);
    draw("pr", traces, layout({ xaxis: share("Recall (sensitivity)"), yaxis: share("Precision") }));
  }
  function calibration() {
    const traces = [chance([0, 1], [0, 1], "perfect")];
    data.runs.forEach((run, k) => {
      const bins = run.bins.filter((bin) => bin.predicted !== null && bin.observed !== null);
      const ends = bins.every((bin) => bin.low !== null);
      traces.push(line(bins.map((bin) => bin.predicted), bins.map((bin) => bin.observed), run, k, {
        mode: "lines+markers", marker: { size: 7 },
        error_y: ends ? {
          array: bins.map((bin) => bin.high - bin.observed), arrayminus: bins.map((bin) => bin.observed - bin.low),
          width: 3, thickness: 1.2,
        } : undefined,
      }));
      traces.push({
        x: run.bins.map((_, b) => (b + (k + 0.5) / data.runs.length) / run.bins.length), y: run.bins.map((bin) => bin.share),
        type: "bar", yaxis: "y2", width: 0.86 / run.bins.length / data.runs.length, showlegend: false,
        legendgroup: `r${k}`, marker: { color: faded(colors()[k], 0.75) }, hovertemplate: "%{y:.0%} of rows<extra></extra>",
      });
    });
    draw("calibration", traces, layout({
      bargap: 0, barmode: "overlay",
      xaxis: { ...share("Predicted probability"), anchor: "y2" },
      yaxis: { ...share("Observed share"), domain: [0.3, 1] },
      yaxis2: axis("Rows", { domain: [0, 0.2], tickformat: ".0%", nticks: 3, showgrid: false, rangemode: "tozero" }),
    }));
  }
  function netBenefit() {
    const base = data.runs[0].decisions.prevalence;
    const x = grid.slice(0, 100);
    const all = x.map((t) => base - ((1 - base) * t) / (1 - t));
    const traces = [
      { ...chance(x, all, "treat all"), line: { color: css("--soft"), dash: "dash", width: 1.4 } },
      chance([0, 1], [0, 0], "treat none"),
    ];
    let top = base;
    data.runs.forEach((run, k) => {
      const of = run.decisions.net_benefit;
      traces.push(band(x, of.low.slice(0, 100), of.high.slice(0, 100), colors()[k], `r${k}`));
      traces.push(line(x, of.value.slice(0, 100), run, k, { hovertemplate: "%{y:.3f} at %{x:.0%}<extra></extra>" }));
      top = Math.max(top, ...of.high.filter((v) => v !== null));
    });
    marked.benefit = data.runs.map((_, k) => traces.push(point(k)) - 1);
    draw("benefit", traces, layout({
      xaxis: { ...share("Threshold probability") },
      yaxis: axis("Net benefit", { range: [-0.25 * top, 1.06 * top] }),
    }));
  }
  function scores() {
    const count = data.runs.length;
    const plan = { barmode: "overlay", bargap: 0.05 };
    const traces = [];
    const room = 0.3 / count;
    data.runs.forEach((run, k) => {
      const width = run.decisions.positive.length;
      const x = run.decisions.positive.map((_, b) => (b + 0.5) / width);
      const kinds = [[run.decisions.negative, "negative", faded(colors()[k], 0.28)], [run.decisions.positive, "positive", faded(colors()[k], 0.85)]];
      kinds.forEach(([y, label, color], half) => traces.push({
        x, y: y.map((v) => (v === null ? null : half ? v : -v)), type: "bar", name: label, showlegend: false,
        xaxis: "x", yaxis: `y${k ? k + 1 : ""}`, marker: { color, line: { width: 1, color: colors()[k] } },
        customdata: y, hovertemplate: `%{customdata:.1%} of the ${label}<extra>${plain(short(run.name))}</extra>`,
      }));
      const top = 1 - k / count;
      plan[`yaxis${k ? k + 1 : ""}`] = axis("", {
        domain: [top - 1 / count + 0.02, top - room], tickformat: ".0%", nticks: 4, zeroline: true, zerolinecolor: css("--soft"), showticklabels: false,
      });
    });
    plan.xaxis = { ...share("Predicted probability"), anchor: `y${count > 1 ? count : ""}` };
    plan.annotations = data.runs.map((run, k) => ({
      xref: "paper", yref: "paper", x: 0.01, y: 1 - k / count - room, xanchor: "left", yanchor: "bottom", showarrow: false,
      text: `${plain(short(run.name))}: up positive, down negative`, font: { size: 12, color: css("--ink") },
    }));
    document.getElementById("figure-scores").style.height = `${150 + 105 * count}px`;
    draw("scores", traces, layout({ ...plan, showlegend: false }));
  }
  function forest(name, of) {
    if (!of) return;
    const traces = of.series.map((one, k) => {
      const color = one.run === null ? css("--ink") : colors()[one.run];
      const shift = of.series.length > 1 ? ((k - (of.series.length - 1) / 2) * 0.6) / of.series.length : 0;
      const at = one.value.map((v, row) => row).filter((row) => one.value[row] !== null);
      return {
        x: at.map((row) => one.value[row]), y: at.map((row) => row + shift), mode: "markers",
        name: plain(short(one.name)), marker: { size: 9, color, symbol: one.run === null ? "diamond" : ["circle", "square", "diamond", "cross", "triangle-up", "star"][k % 6] },
        error_x: {
          array: at.map((row) => (one.high[row] === null ? 0 : one.high[row] - one.value[row])),
          arrayminus: at.map((row) => (one.low[row] === null ? 0 : one.value[row] - one.low[row])),
          width: 4, thickness: 1.6, color,
        },
        hovertemplate: at.map((row) => `${plain(one.value[row].toFixed(3))}<extra>${plain(of.rows[row])}</extra>`),
      };
    });
    const shapes = of.zero ? [{ type: "line", x0: 0, x1: 0, yref: "paper", y0: 0, y1: 1, line: { color: css("--soft"), dash: "dot", width: 1.3 } }] : [];
    const narrow = innerWidth < 600;
    const labels = of.rows.map((row) => plain(row.length > (narrow ? 18 : 40) ? row.slice(0, narrow ? 17 : 39) + "…" : row));
    const place = document.getElementById(`figure-${name}`);
    if (!place) return;
    place.style.height = `${110 + of.rows.length * (26 + 8 * of.series.length)}px`;
    draw(name, traces, layout({
      shapes, xaxis: axis(of.title, {}), showlegend: of.series.length > 1, margin: { l: 20, r: 10, t: 6, b: 44 },
      yaxis: axis("", { tickvals: of.rows.map((_, row) => row), ticktext: labels, autorange: "reversed", showgrid: false }),
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 } },
    }));
  }
  function learning() {
    (data.learning || []).forEach((of, number) => {
      const traces = of.series.map((one) => ({
        x: one.x, y: one.y, mode: one.x.length > 1 ? "lines" : "markers", name: plain(short(one.name)),
        line: { color: colors()[one.run % 6], width: 2, dash: dashes[one.run % 6] },
      }));
      draw(`learning-${number}`, traces, layout({ xaxis: axis("Epoch", {}), yaxis: axis(plain(of.title), {}) }));
    });
  }
  function others() { // figures that were drawn elsewhere take this page's colours
    document.querySelectorAll(".js-plotly-plot:not(.plot)").forEach((place) => {
      const change = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", "font.color": css("--ink"), "legend.bgcolor": "rgba(0,0,0,0)" };
      Object.assign(change, printing ? { width: PAPER } : { width: null, autosize: true });
      Object.keys(place.layout).filter((key) => /^[xy]axis\d*$/.test(key)).forEach((key) => {
        change[`${key}.gridcolor`] = css("--grid");
        change[`${key}.linecolor`] = css("--line");
      });
      Plotly.relayout(place, change);
    });
  }

  // The threshold that moves them all.
  const slider = document.getElementById("threshold");
  const at = () => data.runs.map((run) => (own ? run.threshold : Number(slider.value)));
  let own = true; // risks that are honest seldom reach a half: there is little to see at 0.5
  const told = (band, k, unit) => {
    const [value, low, high] = [band.value[k], band.low[k], band.high[k]];
    if (value === null) return "– (few patients)";
    const number = (v) => (100 * v).toFixed(unit === "%" ? 0 : 1);
    return low === null ? `${number(value)}${unit}` : `${number(value)}${unit} (${number(low)} to ${number(high)})`;
  };
  const worth = (band, k) => {
    const [value, low, high] = [band.value[k], band.low[k], band.high[k]].map((v) => (v === null ? null : v.toFixed(3)));
    return value === null ? "– (few patients)" : `${value} (${low} to ${high})`.replace(/-/g, "−");
  };
  function move() {
    const places = at();
    const shown = own ? "own" : (Number(slider.value) / 100).toFixed(2);
    document.getElementById("threshold-now").textContent = own ? "each its own" : shown;
    slider.setAttribute("aria-valuetext", own ? "each run at its own threshold" : `${Number(slider.value)} percent`);
    document.getElementById("threshold-own").setAttribute("aria-pressed", String(own));
    data.runs.forEach((run, k) => {
      const t = places[k];
      const of = run.decisions;
      const row = document.getElementById(`decision-${k}`);
      const texts = [grid[t].toFixed(2), ...["sensitivity", "specificity", "ppv", "npv"].map((name) => told(of[name], t, "%")), told(of.alerts, t, ""), worth(of.net_benefit, t)];
      texts.forEach((text, place) => { row.cells[place + 1].textContent = text; });
      ["true_positives", "false_negatives", "false_positives", "true_negatives"].forEach((name) => {
        document.getElementById(`${name}-${k}`).textContent = of[name][t] === null ? "few" : of[name][t].toLocaleString("en");
      });
    });
    const marks = {
      roc: (of, t) => [of.specificity.value[t] === null ? null : 1 - of.specificity.value[t], of.sensitivity.value[t]],
      pr: (of, t) => [of.sensitivity.value[t], of.ppv.value[t]],
      benefit: (of, t) => [t < 100 ? grid[t] : null, of.net_benefit.value[t]],
    };
    Object.entries(marks).forEach(([name, of]) => {
      const points = data.runs.map((run, k) => of(run.decisions, places[k]));
      const shown = points.map(([x, y]) => (x === null || y === null ? [null, null] : [x, y]));
      Plotly.restyle(`figure-${name}`, { x: shown.map(([x]) => [x]), y: shown.map(([, y]) => [y]) }, marked[name]);
    });
    const lines = own ? data.runs.map((_, k) => [places[k], colors()[k]]) : [[places[0], css("--mark")]];
    const shapes = lines.map(([t, color]) => ({ type: "line", x0: grid[t], x1: grid[t], yref: "paper", y0: 0, y1: 1, line: { color, width: 1.6 } }));
    ["calibration", "scores"].forEach((name) => Plotly.relayout(`figure-${name}`, { shapes }));
  }
  function all() {
    document.querySelectorAll(".key").forEach((key) => {
      key.style.borderColor = colors()[Number(key.dataset.run) % 6];
      key.style.borderTopStyle = ["solid", "dashed", "dotted"][Number(key.dataset.run) % 3];
    });
    if (slider) { roc(); precisionRecall(); calibration(); netBenefit(); scores(); move(); }
    Object.entries(data.forests || {}).forEach(([name, of]) => forest(name, of));
    learning();
    others();
  }
  all();
  if (slider) {
    let waits = false;
    const later = () => { if (!waits) { waits = true; requestAnimationFrame(() => { waits = false; move(); }); } };
    slider.addEventListener("input", () => { own = false; later(); });
    document.getElementById("threshold-own").addEventListener("click", () => { own = !own; later(); });
  }
  night.addEventListener("change", all);
  addEventListener("beforeprint", () => { printing = true; document.querySelectorAll("details").forEach((one) => { one.open = true; }); all(); });
  addEventListener("afterprint", () => { printing = false; all(); });
})();
