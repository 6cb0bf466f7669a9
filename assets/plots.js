/* Charts that the server describes as data, drawn by plotly.js of the plotly package.

   mrpcPlots.charts(element, props, watch, trigger, url) draws props.value, a figure with `alt`, whenever it changes; or
   several of them, a list, into as many elements .chart.
   mrpcPlots.draw(place, figure, Plotly) draws one figure now.

   mrpcPlots.live(element, url) returns a function that draws {place: {data, layout}} into the elements
   [data-plot=place] and updates them in place: a zoom survives, because layout.uirevision stays the same for a run.
   A hidden plot is drawn when it is seen, one that has not changed is left alone, and drawing takes a fiftieth of
   the time at most: on a slow machine plots move less often than the numbers beside them, because the training that
   they show needs the processor more. */
window.mrpcPlots = (() => {
  let plotly = null;

  function loadPlotly(url) {
    if (window.Plotly) return Promise.resolve(window.Plotly);
    plotly ??= new Promise((resolve, reject) => {
      const script = document.createElement('script');
      script.src = url;
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => reject(new Error('plotly.js did not load'));
      document.head.append(script);
    });
    return plotly;
  }

  // "var(--tuned)" anywhere in a figure becomes the colour of the theme that is shown now.
  function themed(value, style) {
    if (typeof value === 'string') {
      return value.replace(/^var\((--[\w-]+)\)$/, (_, name) => style.getPropertyValue(name).trim() || '#888');
    }
    if (Array.isArray(value)) return value.map((item) => themed(item, style));
    if (value && typeof value === 'object') {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, themed(item, style)]));
    }
    return value;
  }

  function layoutOf(figure, style) {
    const ink = style.getPropertyValue('--body-text-color').trim();
    const line = style.getPropertyValue('--hairline').trim() || 'rgba(128,138,150,0.3)';
    const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true };
    const given = figure.layout || {};
    const layout = {
      paper_bgcolor: 'rgba(0,0,0,0)',
      plot_bgcolor: 'rgba(0,0,0,0)',
      font: { family: style.fontFamily, size: 13, color: ink },
      margin: { l: 48, r: 12, t: 12, b: 44 },
      hovermode: 'closest',
      legend: { orientation: 'h', y: 1.02, yanchor: 'bottom', x: 0 },
      autosize: true,
      ...given,
    };
    for (const key of Object.keys(given)) {
      if (!/^[xy]axis\d*$/.test(key)) continue;
      layout[key] = { ...axis, ...given[key], title: { ...given[key].title, font: { size: 13 } } };
    }
    layout.xaxis ??= axis;
    layout.yaxis ??= axis;
    return layout;
  }

  function draw(place, figure, library) {
    const style = getComputedStyle(place);
    place.setAttribute('aria-label', figure.alt || '');
    const config = { displayModeBar: false, responsive: true };
    return library.react(place, themed(figure.data, style), themed(layoutOf(figure, style), style), config);
  }

  function charts(element, props, watch, trigger, url) {
    element.querySelectorAll('.chart').forEach((place, at) => chart(place, at, props, watch, trigger, url));
  }

  function chart(place, at, props, watch, trigger, url) {
    let drawn = false;
    async function redraw() {
      const figure = Array.isArray(props.value) ? props.value[at] : props.value;
      place.hidden = !figure;
      if (place.numbers) place.numbers.fold.hidden = !figure;
      if (!figure || !place.offsetWidth) return;
      await draw(place, figure, await loadPlotly(url));
      mrpcTables.behind(place, figure);
      if (!drawn) {
        drawn = true;
        place.on('plotly_click', (event) => {
          const id = event.points?.[0]?.customdata;
          if (id !== undefined && id !== null) trigger('select', { id });
        });
      }
    }
    watch('value', redraw);
    new ResizeObserver(redraw).observe(place); // not of the table below it
    new MutationObserver(redraw).observe(document.body, { attributes: true, attributeFilter: ['class'] });
    redraw();
  }

  /* Plots that grow while one looks at them */

  const LIVE_CONFIG = {
    displaylogo: false,
    responsive: true,
    modeBarButtonsToRemove: ["toImage", "select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
  };
  const MAX_CAPTION_WIDTH = 110; // characters a line of a picture
  const REST = 49; // times the last drawing, until the next
  const LEAST_REST_MS = 900;

  function themedLive(layout, place) {
    const style = getComputedStyle(place);
    return {
      ...layout,
      autosize: true,
      font: { ...layout.font, family: style.fontFamily, color: style.color, size: 12 },
      hoverlabel: {
        bgcolor: style.getPropertyValue("--background-fill-primary"),
        font: { color: style.color, family: style.fontFamily },
      },
    };
  }

  // The picture of a plot says what it shows, on the paper of the page.
  function downloadPicture(place, caption, Plotly) {
    const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
    const lines = caption.split("\n").flatMap((line) => wrap(line, MAX_CAPTION_WIDTH)).map(escaped);
    const layout = structuredClone({ ...place.layout, width: undefined, height: undefined });
    layout.margin = { ...layout.margin, b: 60 + 14 * lines.length };
    layout.paper_bgcolor = getComputedStyle(document.body).backgroundColor;
    layout.annotations = (layout.annotations ?? []).concat({
      text: lines.join("<br>"),
      showarrow: false,
      align: "left",
      font: { size: 10 },
      ...{ xref: "paper", x: 0, xanchor: "left", yref: "paper", y: 0, yanchor: "top", yshift: -44 },
    });
    const filename = (caption.match(/Run ([\w-]+)/)?.[1] ?? "runs") + "-" + place.dataset.plot;
    const size = { width: Math.max(720, place.offsetWidth), height: place.offsetHeight + 14 * lines.length + 20 };
    return Plotly.downloadImage({ data: place.data, layout }, { format: "png", scale: 2, filename, ...size });
  }

  function wrap(text, width) {
    const lines = [""];
    for (const word of text.split(" ")) {
      if (lines.at(-1).length + word.length > width) lines.push("");
      lines[lines.length - 1] += (lines.at(-1) && " ") + word;
    }
    return lines;
  }

  function live(element, plotlyUrl) {
    let figures = null;
    let restsUntil = 0;
    let waiting = null;
    const isVisible = (place) => place.offsetWidth > 0;
    const revision = () => Object.values(figures ?? {}).find((figure) => figure.layout)?.layout.uirevision;

    async function draw() {
      if (!figures) return;
      clearTimeout(waiting);
      const rest = restsUntil - performance.now();
      if (rest > 0) {
        waiting = setTimeout(drawSafely, rest);
        return;
      }
      const caption = element.querySelector("[data-plot-caption]");
      if (caption) caption.textContent = figures.caption ?? "";
      const places = [...element.querySelectorAll("[data-plot]")].filter(isVisible);
      if (!places.length) return;
      const Plotly = await loadPlotly(plotlyUrl);
      const beganAt = performance.now();
      for (const place of places) {
        const figure = figures[place.dataset.plot];
        const mark = figure && JSON.stringify(figure);
        if (figure && place.drawn !== mark) {
          place.drawn = mark;
          place.drawnWidth = place.offsetWidth;
          // The same object each time: Plotly draws anew, and forgets the zoom, when a config differs.
          place.config ??= {
            ...LIVE_CONFIG,
            modeBarButtonsToAdd: [
              {
                name: "download",
                title: "Download the picture",
                icon: Plotly.Icons.camera,
                click: () => downloadPicture(place, figures.caption ?? "", Plotly),
              },
            ],
          };
          await Plotly.react(place, figure.data, themedLive(figure.layout, place), place.config);
          mrpcTables.behind(place, figure);
        }
      }
      const tookMs = performance.now() - beganAt;
      restsUntil = performance.now() + Math.max(LEAST_REST_MS, REST * tookMs);
    }

    const drawSafely = () => draw().catch((error) => console.error(error));
    const drawNow = () => {
      restsUntil = 0;
      drawSafely();
    };
    // Drawn from nothing at its new width, or a legend that takes fewer lines there stays where it was.
    const redraw = (place) => {
      window.Plotly.purge(place);
      place.drawn = null;
      drawNow();
    };
    const seen = new ResizeObserver((entries) => {
      for (const { target } of entries) {
        if (isVisible(target) && target.drawn && target.offsetWidth !== target.drawnWidth) redraw(target);
      }
      drawNow();
    });
    for (const place of element.querySelectorAll("[data-plot]")) seen.observe(place);
    new MutationObserver(() => {
      for (const place of element.querySelectorAll("[data-plot]")) place.drawn = null;
      drawNow();
    }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
    return (content) => {
      const before = revision();
      figures = content;
      if (revision() === before) drawSafely();
      else drawNow(); // another run
    };
  }

  return { charts, draw, live, loadPlotly };
})();
