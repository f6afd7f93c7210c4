// Replaces the still picture of each chart when it comes near the screen, and draws it again when the
// colour scheme or the layout changes. Highlights the networks that a reader searches for in a chart.
// Bundled with Vega, so vegaEmbed is in scope.

const NEAR = "50% 0px";
const PASSES = 3;
const LEAST_PANEL = 260; // pixels, with the names beside it
const LEAST_PLOT = 100;
const SERIES = [1, 2, 3, 4, 5, 6, 7, 8];
const FLUID = ["mark", "layer"];
const FACETS = ["row", "column", "facet"];
const dark = matchMedia("(prefers-color-scheme: dark)");
const narrow = matchMedia("(max-width: 40rem)");
const views = new Map();
const turns = new Map();

/** Return a Vega configuration with the page's colours and font. */
function theme() {
  const style = getComputedStyle(document.documentElement);
  const ink = (name) => style.getPropertyValue(`--${name}`).trim();
  const words = { labelColor: ink("muted"), titleColor: ink("text") };
  const edge = ink("strong-line");
  // The colour of symbols that stand for no colour, such as shapes.
  const symbols = { symbolBaseFillColor: ink("muted"), symbolBaseStrokeColor: ink("muted") };
  const entries = { ...words, ...symbols };
  const below = { orient: "bottom", columns: 2, layout: { bottom: { direction: "vertical" } } };
  const series = SERIES.map((number) => ink(`series-${number}`));
  return {
    background: null,
    font: ink("font"),
    view: { stroke: null },
    axis: { ...words, gridColor: ink("line"), domainColor: edge, tickColor: edge },
    // On a narrow screen, a legend beside the plot would leave no room for the plot.
    legend: narrow.matches ? { ...entries, ...below } : entries,
    header: words,
    title: { color: ink("text"), subtitleColor: ink("muted"), anchor: "start" },
    mark: { color: series[0] },
    text: { color: ink("text") },
    rule: { color: ink("muted") },
    range: { category: series },
  };
}

/** Make a chart as wide as the page, if Vega-Lite can: a single plot of fixed size in pixels. */
function fluid(spec) {
  const isOne = FLUID.some((name) => name in spec);
  const isFaceted = FACETS.some((name) => spec.encoding && name in spec.encoding);
  const isFixed = typeof spec.width === "number" && typeof spec.height === "number";
  return isOne && isFixed && !isFaceted ? { ...spec, width: "container" } : spec;
}

/** Put as many panels of a chart beside each other as fit; other charts stay as they are. */
function wrapped(spec, plot) {
  if (!isPanels(spec)) return spec;
  const fitting = Math.max(1, Math.floor(plot.clientWidth / LEAST_PANEL));
  return { ...spec, columns: Math.min(spec.columns, fitting) };
}

function isPanels(spec) {
  return "facet" in spec && "columns" in spec;
}

/** Widen or narrow the panels of a chart until it is as wide as the page. */
async function spread(plot) {
  const { view, columns } = views.get(plot);
  for (let pass = 0; pass < PASSES; pass++) {
    const spare = plot.clientWidth - plot.querySelector("svg").getBoundingClientRect().width;
    const width = view.signal("child_width") + Math.floor(spare / columns);
    await view.signal("child_width", Math.max(width, LEAST_PLOT)).resize().runAsync();
  }
}

/** Return the text field of a chart, with its status; null if its names cannot be searched. */
function searchOf(plot) {
  return plot.parentElement.querySelector(".search");
}

/** Highlight the networks whose names contain the text of a chart's field, and count them. */
async function highlight(plot) {
  const search = searchOf(plot);
  const field = search.querySelector("input");
  const text = field.value.trim().toLowerCase();
  const names = [...field.list.options].map((option) => option.value);
  const found = names.filter((name) => name.toLowerCase().includes(text));
  const count = `${found.length} of ${names.length} networks`;
  search.querySelector("[role=status]").textContent = text ? count : "";
  await views.get(plot)?.view.signal("search", text).runAsync();
}

/** Lay a chart out until it fits: names beside a plot make it narrower, which moves the names. */
async function fit(view) {
  for (let pass = 0; pass < PASSES; pass++) await view.resize().runAsync();
}

async function embed(plot) {
  const text = plot.parentElement.querySelector("script").textContent;
  const spec = wrapped(fluid(JSON.parse(text)), plot);
  views.get(plot)?.view.finalize();
  plot.style.minHeight = `${plot.offsetHeight}px`; // so that the text below stays while it is empty
  try {
    const { view } = await vegaEmbed(plot, spec, {
      mode: "vega-lite",
      actions: false,
      ast: true, // interpret expressions, so that no text is run as code
      config: theme(),
      defaultStyle: false,
      renderer: "svg",
      tooltip: { theme: dark.matches ? "dark" : "light" },
    });
    views.set(plot, { view, columns: isPanels(spec) ? spec.columns : 0 });
    if (isPanels(spec)) await spread(plot);
    if (searchOf(plot)) {
      await fit(view);
      await highlight(plot); // the browser may have kept the text of the last visit
    }
    plot.dataset.drawn = dark.matches ? "dark" : "light";
  } catch (error) {
    plot.replaceChildren(stills.get(plot));
    console.error(error);
  } finally {
    plot.style.minHeight = "";
  }
}

/** Draw a chart, after any drawing of it in progress has finished. */
function draw(plot) {
  turns.set(plot, (turns.get(plot) ?? Promise.resolve()).then(() => embed(plot)));
}

const plots = [...document.querySelectorAll(".plot")];
const stills = new Map(plots.map((plot) => [plot, plot.firstElementChild]));
const watcher = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      watcher.unobserve(target);
      draw(target);
    }
  },
  { rootMargin: NEAR },
);
plots.forEach((plot) => watcher.observe(plot));
for (const query of [dark, narrow]) {
  query.addEventListener("change", () => [...turns.keys()].forEach(draw));
}
addEventListener("resize", () => {
  for (const [plot, { columns }] of views) if (columns) spread(plot);
});
for (const plot of plots.filter(searchOf)) {
  const search = searchOf(plot);
  search.addEventListener("input", () => highlight(plot));
  search.hidden = false;
}
