/* Plots that grow while one looks at them.

   mrpcLivePlots(element, plotlyUrl) returns a function that draws {place: {data, layout}} into the elements
   [data-plot=place] and updates them in place: a zoom survives, because layout.uirevision stays the same for a
   run. Plotly is fetched at the first drawing. A hidden plot is drawn when it is seen, and one that has not
   changed is left alone. Drawing takes a twentieth of the time at most: on a slow machine plots move less often
   than the numbers beside them, because the training that they show needs the processor more.

   mrpcFollowEnd(element) returns a function that keeps a log scrolled to its end while it is there. */

(() => {
  const CONFIG = {
    displaylogo: false,
    responsive: true,
    modeBarButtonsToRemove: ["toImage", "select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
  };
  const MAX_CAPTION_WIDTH = 110; // characters a line of a picture
  const REST = 19; // times the last drawing, until the next
  let loading = null;

  function loadPlotly(url) {
    loading ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = url;
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => {
        loading = null;
        reject(new Error("plotly.js could not be loaded"));
      };
      document.head.append(script);
    });
    return loading;
  }

  function themed(layout, place) {
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

  window.mrpcLivePlots = (element, plotlyUrl) => {
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
          // The same object each time: Plotly draws anew, and forgets the zoom, when a config differs.
          place.config ??= {
            ...CONFIG,
            modeBarButtonsToAdd: [
              {
                name: "download",
                title: "Download the picture",
                icon: Plotly.Icons.camera,
                click: () => downloadPicture(place, figures.caption ?? "", Plotly),
              },
            ],
          };
          await Plotly.react(place, figure.data, themed(figure.layout, place), place.config);
        }
      }
      restsUntil = performance.now() + REST * (performance.now() - beganAt);
    }

    const drawSafely = () => draw().catch((error) => console.error(error));
    const drawNow = () => {
      restsUntil = 0;
      drawSafely();
    };
    const seen = new ResizeObserver((entries) => {
      for (const { target } of entries) {
        if (isVisible(target) && target.drawn && window.Plotly) window.Plotly.Plots.resize(target);
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
  };

  window.mrpcFollowEnd = (element) => {
    let atEnd = true;
    element.addEventListener(
      "scroll",
      ({ target }) => (atEnd = target.scrollHeight - target.scrollTop - target.clientHeight < 40),
      true,
    );
    const follow = () => {
      const log = element.querySelector("pre");
      if (log && atEnd) log.scrollTop = log.scrollHeight;
    };
    new ResizeObserver(follow).observe(element);
    return follow;
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const text = button.parentElement.querySelector("code, pre").textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without https there is no clipboard: select the text instead, for Ctrl-C.
      getSelection().selectAllChildren(button.parentElement.querySelector("code, pre"));
      button.textContent = "Press Ctrl-C";
      return;
    }
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
})();
