// The Tokenize tab in the browser: links chip, table row and characters of one token, walks the chips by
// keyboard, copies, and keeps what is shown in the page's address. Listens on the document, because the
// parts are redrawn by the server.

(() => {
  const tokensOf = (element) => element.dataset.i.split(' ');

  // Mark everything that belongs to some tokens, and show what the table says about the first of them.
  function show(view, tokens) {
    for (const element of view.querySelectorAll('[data-i]')) {
      element.classList.toggle('on', tokensOf(element).some((token) => tokens.includes(token)));
    }
    const detail = view.querySelector('[data-tk-detail]');
    const row = tokens.length && view.querySelector(`tr[data-i="${CSS.escape(tokens[0])}"]`);
    if (!detail || !row) return;
    const names = [...row.closest('table').querySelectorAll('th')].map((cell) => cell.textContent);
    const list = document.createElement('dl');
    [...row.cells].forEach((cell, number) => {
      const part = list.appendChild(document.createElement('div'));
      part.appendChild(document.createElement('dt')).textContent = names[number];
      part.appendChild(document.createElement('dd')).textContent = cell.textContent;
    });
    detail.replaceChildren(list);
    const box = row.closest('.tk-scroll');
    const above = row.offsetTop - box.querySelector('thead').offsetHeight;
    if (above < box.scrollTop || row.offsetTop + row.offsetHeight > box.scrollTop + box.clientHeight) {
      box.scrollTop = above - box.clientHeight / 3;
    }
  }

  function point(event) {
    const element = event.target.closest?.('[data-i]');
    const view = element?.closest('.tk-linked');
    if (view) show(view, tokensOf(element));
  }
  document.addEventListener('mouseover', point);
  document.addEventListener('focusin', point);
  document.addEventListener('click', (event) => {
    const chip = event.target.closest?.('.tk-chip[role=option]');
    if (chip) step(chip);
  });

  // Chips are one stop of the Tab key; the arrow keys walk from one to the next.
  function step(chip) {
    for (const other of chip.parentElement.querySelectorAll('[role=option]')) {
      other.tabIndex = other === chip ? 0 : -1;
      other.setAttribute('aria-selected', other === chip);
    }
    chip.focus();
  }
  document.addEventListener('keydown', (event) => {
    const chip = event.target.closest?.('.tk-chip[role=option]');
    if (!chip) return;
    const chips = [...chip.parentElement.querySelectorAll('[role=option]')];
    const place = chips.indexOf(chip);
    const next = {
      ArrowRight: place + 1, ArrowDown: place + 1, ArrowLeft: place - 1, ArrowUp: place - 1,
      Home: 0, End: chips.length - 1,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    if (chips[next]) step(chips[next]);
  });

  // Each radio button is a group of its own to the browser: let the arrow keys walk those of one question.
  document.addEventListener('keydown', (event) => {
    const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const input = event.target.closest?.('input[type=radio]');
    const group = input?.closest('fieldset, #tk-steps');
    if (!move || !group) return;
    const inputs = [...group.querySelectorAll('input[type=radio]:not(:disabled)')];
    const next = inputs[(inputs.indexOf(input) + move + inputs.length) % inputs.length];
    event.preventDefault();
    next.focus();
    next.click();
  });

  // What is shown stands in the address, so that a link opens the same. What is as usual is left out, and so
  // is a text too long for a link.
  const MAX_VALUE = 2000;
  let tooLong = false;
  const same = (one, other) => String(one ?? '') === String(other ?? '');
  window.mrpcTokenize = {
    remember(keys, usual, values) {
      const address = new URL(location.href);
      tooLong = values.some((value) => String(value ?? '').length > MAX_VALUE);
      keys.forEach((key, number) => {
        const value = String(values[number] ?? '');
        if (same(values[number], usual[number]) || value.length > MAX_VALUE) address.searchParams.delete(key);
        else address.searchParams.set(key, value);
      });
      if (address.href !== location.href) history.replaceState(history.state, '', address);
    },
  };

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch { // no permission, or a page that was not loaded over https
      const area = document.body.appendChild(document.createElement('textarea'));
      area.value = text;
      area.select();
      const copied = document.execCommand('copy');
      area.remove();
      return copied;
    }
  }
  function say(button, text) {
    button.dataset.usual ??= button.textContent;
    button.textContent = text;
    setTimeout(() => { button.textContent = button.dataset.usual; }, 1500);
  }
  document.addEventListener('click', async (event) => {
    const button = event.target.closest?.('[data-tk-copy], [data-tk-link]');
    if (!button) return;
    const isLink = 'tkLink' in button.dataset;
    const text = isLink ? location.href : button.parentElement.querySelector('code').textContent;
    const copied = await copy(text);
    button.focus();
    const what = isLink && tooLong ? 'Copied, without the long text' : 'Copied';
    say(button, copied ? what : 'Not allowed');
  });
})();
