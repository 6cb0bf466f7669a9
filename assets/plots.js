/* Charts that the server describes as data, drawn by plotly.js of the plotly package.

   mrpcPlots.chart(element, props, watch, trigger, url) draws props.value, a figure with `alt`, whenever it changes.
   mrpcPlots.draw(place, figure, Plotly) draws one figure now. */
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
      if (/^[xy]axis\d*$/.test(key)) layout[key] = { ...axis, ...given[key] };
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

  function chart(element, props, watch, trigger, url) {
    const place = element.querySelector('.chart');
    let drawn = false;
    async function redraw() {
      const figure = props.value;
      place.hidden = !figure;
      if (!figure || !place.offsetWidth) return;
      await draw(place, figure, await loadPlotly(url));
      if (!drawn) {
        drawn = true;
        place.on('plotly_click', (event) => {
          const id = event.points?.[0]?.customdata;
          if (id !== undefined && id !== null) trigger('select', { id });
        });
      }
    }
    watch('value', redraw);
    new ResizeObserver(redraw).observe(element);
    new MutationObserver(redraw).observe(document.body, { attributes: true, attributeFilter: ['class'] });
    redraw();
  }

  return { chart, draw, loadPlotly };
})();
