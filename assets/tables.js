/* Tables that the server describes as data: sorted, filtered, paged and downloaded. Text goes in as text.

   mrpcTables.table(element, props, watch, trigger) shows props.value; the button of a row sends `select` with its id.
   With `keep` in a value, order, page and filter stay when it changes; `choose` gives each row a box [data-choose].
   The element gets an event `filled` after each drawing.
   mrpcTables.behind(place, figure) puts a fold with the points of a chart as such a table below the chart.
   A table that came as HTML with the class `sortable` gets buttons that sort and download it. */
window.mrpcTables = (() => {
  const FORMULA = /^[=+\-@\t\r]/;
  const NUMBERS = ['number', 'percent', 'p', 'exact']; // kinds of columns that are set flush right
  const NUMBER = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i;

  const counted = (rows) => rows.length.toLocaleString('en');

  function plain(cell) {
    if (cell === null || cell === undefined) return '';
    if (Array.isArray(cell)) return cell.map(([text]) => text).join('');
    return String(cell);
  }

  function shown(cell, column) {
    if (typeof cell === 'number' && column.kind === 'exact') return cell && Math.abs(cell) < 0.001 ? cell.toExponential() : String(cell);
    if (typeof cell === 'number' && column.kind === 'p') return cell < 0.001 ? '< 0.001' : cell.toFixed(3);
    if (typeof cell === 'number') {
      const number = column.kind === 'percent' ? 100 * cell : cell;
      const text = number.toFixed(column.digits ?? (column.kind === 'percent' ? 1 : 0));
      return column.signed && number > 0 ? `+${text}` : text;
    }
    return plain(cell);
  }

  // A cell that a spreadsheet would run as a formula is made text.
  function csvCell(cell) {
    let text = plain(cell);
    if (FORMULA.test(text) && !NUMBER.test(text)) text = `'${text}`;
    return /[",\n\r']/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  function csvText(lines) {
    return '\ufeff' + lines.map((line) => line.map(csvCell).join(',')).join('\r\n') + '\r\n';
  }

  function csv(table) {
    const rows = table.rows.map((row) => table.columns.map((column) => row[column.key]));
    return csvText([table.columns.map((column) => column.title), ...rows]);
  }

  function save(text, name) {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([text], { type: 'text/csv;charset=utf-8' }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  function compare(a, b) {
    if (typeof a === 'number' && typeof b === 'number') return a - b;
    if (a === null || a === undefined || b === null || b === undefined) return (b == null) - (a == null);
    return plain(a).localeCompare(plain(b));
  }

  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
      else if (value !== undefined && value !== null) node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
  }

  function cellNode(cell, column, row, open) {
    if (column.kind === 'opens') {
      const button = make('button', { type: 'button', 'data-row': row.id, onclick: () => open(row.id) }, plain(cell));
      return make('td', { class: 'opens', 'data-title': column.title }, button);
    }
    if (column.kind === 'state' || column.kind === 'flag') {
      const pill = make('span', { class: column.kind === 'state' ? `state state-${plain(cell).split(':')[0]}` : 'flag' }, plain(cell));
      return make('td', { 'data-title': column.title }, plain(cell) ? pill : '');
    }
    const classes = NUMBERS.includes(column.kind) ? 'number' : column.kind === 'diff' ? 'text-cell' : '';
    const td = make('td', { class: classes, 'data-title': column.title });
    if (Array.isArray(cell)) {
      for (const [text, mark] of cell) td.append(mark === 'only' ? make('mark', {}, text) : text);
    } else {
      td.append(shown(cell, column));
    }
    return td;
  }

  function table(element, props, watch, trigger) {
    const place = element.querySelector('.data-table');
    let order = null;
    let page = 0;
    let wanted = '';
    const body = make('div', { class: 'table-scroll', tabindex: 0, role: 'region' });
    const count = make('span', { class: 'quiet', 'aria-live': 'polite' });
    const filter = make('input', {
      type: 'search', placeholder: 'Filter', 'aria-label': 'Filter the rows',
      oninput: () => { wanted = filter.value.toLowerCase(); page = 0; fill(); },
    });
    const download = make('button', { type: 'button', onclick: () => save(csv(props.value), props.value.file) }, 'Download CSV');
    const before = make('button', { type: 'button', onclick: () => { page -= 1; fill(); } }, '‹ Previous');
    const after = make('button', { type: 'button', onclick: () => { page += 1; fill(); } }, 'Next ›');
    const tools = make('div', { class: 'table-tools' }, filter, count, make('span', { class: 'pager' }, before, after, download));
    place.append(tools, body);

    function chooseCell(value, row) {
      const box = make('input', {
        type: 'checkbox', 'data-choose': row.id, 'aria-label': `${value.choose}: ${plain(row[value.columns[0].key])}`,
      });
      return make('td', { class: 'choose' }, make('label', { class: 'choose-box' }, box));
    }

    function lineOf(value, row) {
      const line = make('tr', { 'data-id': row.id });
      if (value.choose) line.append(chooseCell(value, row));
      const look = (id) => trigger('select', { id });
      line.append(...value.columns.map((column) => cellNode(row[column.key], column, row, look)));
      if (value.open) {
        const open = make('button', { type: 'button', onclick: () => look(row.id) }, value.open);
        line.append(make('td', { class: 'open-cell' }, open));
      }
      return line;
    }

    function visible(value) {
      let rows = value.rows;
      if (wanted) {
        rows = rows.filter((row) => value.columns.some((column) => shown(row[column.key], column).toLowerCase().includes(wanted)));
      }
      if (order) {
        const { key, sign } = order;
        const by = value.columns.find((column) => column.key === key)?.sort ?? key;
        rows = rows.map((row, at) => [row, at]);
        rows.sort(([a, i], [b, j]) => sign * compare(a[by], b[by]) || i - j);
        rows = rows.map(([row]) => row);
      }
      return rows;
    }

    function heading(column) {
      const sorted = order?.key === column.key;
      const direction = sorted ? (order.sign > 0 ? 'ascending' : 'descending') : 'none';
      const arrow = sorted ? (order.sign > 0 ? ' ↑' : ' ↓') : '';
      const button = make('button', {
        type: 'button', title: column.help,
        onclick: () => {
          order = sorted && order.sign < 0 ? null : { key: column.key, sign: sorted ? -1 : 1 };
          page = 0;
          fill(column.key);
        },
      }, column.title + arrow);
      button.dataset.key = column.key;
      const kind = NUMBERS.includes(column.kind) ? 'number' : null;
      return make('th', { scope: 'col', 'aria-sort': direction, class: kind }, button);
    }

    function fill(focus) {
      const value = props.value;
      place.hidden = !value;
      if (!value) return;
      body.setAttribute('aria-label', value.caption || 'Table');
      const size = value.page_size || 20;
      const rows = visible(value);
      const last = Math.max(0, Math.ceil(rows.length / size) - 1);
      page = Math.min(Math.max(0, page), last);
      const head = make('tr', {}, ...value.columns.map(heading));
      if (value.choose) head.prepend(make('th', { scope: 'col' }, value.choose));
      if (value.open) head.append(make('th', { scope: 'col' }, make('span', { class: 'unseen' }, value.open)));
      const lines = rows.slice(page * size, (page + 1) * size).map((row) => lineOf(value, row));
      const { choose: box, row: name } = document.activeElement?.closest('.data-table') === place
        ? document.activeElement.dataset : {};
      body.replaceChildren(make('table', {},
        make('caption', { class: 'unseen' }, value.caption || ''),
        make('thead', {}, head), make('tbody', {}, ...lines)));
      if (box || name) body.querySelector(box ? `[data-choose="${CSS.escape(box)}"]` : `[data-row="${CSS.escape(name)}"]`)?.focus();
      const pages = last ? `, page ${page + 1} of ${last + 1}` : '';
      count.textContent = (wanted ? `${counted(rows)} of ${counted(value.rows)} rows` : `${counted(rows)} ${rows.length === 1 ? 'row' : 'rows'}`) + pages;
      before.hidden = after.hidden = !last;
      before.disabled = page === 0;
      after.disabled = page === last;
      filter.hidden = value.rows.length < 6;
      place.dispatchEvent(new Event('filled', { bubbles: true }));
      if (focus) body.querySelector(`th button[data-key="${CSS.escape(focus)}"]`)?.focus();
    }

    watch('value', () => {
      if (!props.value?.keep) { order = null; page = 0; wanted = filter.value = ''; }
      fill();
    });
    fill();
  }

  // A table that came as HTML: its columns sort as well, and it can be downloaded.
  function enhance(shown) {
    const body = shown.tBodies[0];
    const rows = [...body.rows];
    const heads = [...shown.tHead.rows[0].cells];
    const text = (cell) => cell.textContent.replace(/\s+/g, ' ').trim();
    const value = (row, at) => {
      const number = parseFloat(text(row.cells[at]));
      return Number.isNaN(number) ? text(row.cells[at]) : number;
    };
    let order = null;
    function sortBy(at) {
      if (order?.at !== at) order = { at, sign: 1 };
      else order = order.sign > 0 ? { at, sign: -1 } : null;
      const sorted = [...rows];
      if (order) sorted.sort((a, b) => order.sign * compare(value(a, at), value(b, at)));
      body.replaceChildren(...sorted);
      heads.forEach((head, place) => {
        const direction = order?.at !== place ? 'none' : order.sign > 0 ? 'ascending' : 'descending';
        head.setAttribute('aria-sort', direction);
      });
    }
    heads.forEach((head, at) => {
      if (head.tagName !== 'TH') return;
      const button = make('button', { type: 'button', onclick: () => sortBy(at) });
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute('aria-sort', 'none');
    });
    const name = (shown.caption?.textContent || 'table').toLowerCase().replace(/[^a-z0-9]+/g, '-').slice(0, 40);
    const lines = () => [...shown.rows].map((row) => [...row.cells].map(text));
    const download = make('button', { type: 'button', onclick: () => save(csvText(lines()), `${name}.csv`) }, 'Download CSV');
    shown.parentElement.after(make('div', { class: 'table-tools' }, download));
  }

  function enhanceAll() {
    for (const shown of document.querySelectorAll('table.sortable:not([data-enhanced])')) {
      shown.dataset.enhanced = '';
      enhance(shown);
    }
  }
  new MutationObserver(enhanceAll).observe(document.documentElement, { childList: true, subtree: true });

  /* The table behind a chart */

  // Labels of a chart are a little HTML: text is escaped, and lines are broken.
  function labelText(label) {
    const page = new DOMParser().parseFromString(String(label ?? '').replaceAll('<br>', ' '), 'text/html');
    return page.body.textContent;
  }

  const rounded = (value) => (Number.isInteger(value) ? value : Number(value.toPrecision(4)));

  function cellOf(value, axis) {
    const at = axis?.tickvals?.indexOf(value) ?? -1;
    if (typeof value === 'number' && at < 0) return rounded(value);
    return value === null || value === undefined ? null : labelText(typeof value === 'number' ? axis.ticktext[at] : value);
  }

  // A row a point: the line that it is of, where it stands, how far it may be off, and what is written at it.
  function pointsOf(trace, layout) {
    const line = labelText(trace.name);
    if (trace.meta === 'guide') { // a straight line to compare with: its height, if it has one
      return new Set(trace.y).size === 1 ? [{ line, y: rounded(trace.y[0]) }] : [];
    }
    if (trace.type === 'heatmap') {
      return trace.z.flatMap((values, row) => values.map((value, at) => (
        { x: cellOf(trace.x[at]), y: cellOf(trace.y[row]), value: rounded(value) }
      )));
    }
    const error = trace.error_x ?? trace.error_y;
    const middle = trace.error_x ? trace.x : trace.y;
    return trace.x.map((x, at) => ({
      line,
      x: cellOf(x, layout.xaxis),
      y: cellOf(trace.y[at], layout.yaxis),
      low: error && rounded(middle[at] - (error.arrayminus ?? error.array)[at]),
      high: error && rounded(middle[at] + error.array[at]),
      note: trace.mode?.includes('text') ? null : trace.text?.[at] && labelText(trace.text[at]),
    }));
  }

  function tableOf(figure, caption) {
    const layout = figure.layout ?? {};
    const rows = figure.data.flatMap((trace) => pointsOf(trace, layout));
    const isGiven = (key) => rows.some((row) => row[key] !== undefined && row[key] !== null && row[key] !== '');
    const isText = (key) => rows.some((row) => typeof row[key] === 'string');
    const axis = (key) => [key, labelText(layout[`${key}axis`]?.title?.text) || (isText(key) ? 'Name' : 'Value')];
    const isMap = figure.data[0]?.type === 'heatmap';
    const titles = [
      ['line', 'Series'], axis(isMap ? 'y' : 'x'), axis(isMap ? 'x' : 'y'), ['value', labelText(figure.data[0]?.name)],
      ['low', 'from'], ['high', 'to'], ['note', 'Details'],
    ];
    const columns = titles.filter(([key]) => isGiven(key))
      .map(([key, title]) => ({ key, title, kind: isText(key) ? 'text' : 'exact' }));
    const file = `${caption.toLowerCase().replace(/[^a-z0-9]+/g, '-').slice(0, 60)}.csv`;
    return { columns, rows, caption, file, page_size: 15, keep: true };
  }

  // The table is made when the fold is opened, and again when the chart has changed meanwhile.
  function behind(place, figure) {
    if (place.dataset.numbers === 'beside') return; // its table stands there already
    const name = place.getAttribute('aria-label') ?? '';
    if (!place.numbers) {
      const body = make('div', {}, make('div', { class: 'data-table' }));
      const title = make('summary', {}, 'As a table', make('span', { class: 'unseen' }, `: ${name}`));
      const fold = make('details', { class: 'fold numbers', ontoggle: () => place.numbers.show() }, title, body);
      place.numbers = {
        fold,
        show() {
          if (!fold.open) return;
          const value = tableOf(this.figure, place.getAttribute('aria-label') ?? '');
          if (this.props) {
            this.props.value = value;
            this.changed();
          } else {
            this.props = { value };
            table(body, this.props, (_, changed) => { this.changed = changed; }, () => {});
          }
        },
      };
      place.after(fold);
    }
    if (place.numbers.figure === figure) return;
    place.numbers.figure = figure;
    place.numbers.fold.hidden = !figure.data.some((trace) => trace.x?.length);
    place.numbers.show();
  }

  // A report that stands on its own: draws what its page holds as data, light or dark as the reader's system is.
  function report(content) {
    const dark = window.matchMedia('(prefers-color-scheme: dark)');
    function draw() {
      document.body.classList.toggle('dark', dark.matches);
      for (const place of document.querySelectorAll('[data-figure]')) {
        const figure = content.figures[place.dataset.figure];
        mrpcPlots.draw(place, figure, window.Plotly);
        behind(place, figure);
      }
    }
    dark.addEventListener('change', draw);
    draw();
    for (const element of document.querySelectorAll('[data-table]')) {
      table(element, { value: content.tables[element.dataset.table] }, () => {}, () => {});
    }
  }

  return { table, behind, report, csv };
})();
