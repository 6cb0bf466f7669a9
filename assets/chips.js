// Links chip, table row and characters of one token, and walks the chips by keyboard. Listens on the
// document, because the parts are redrawn by the server.

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
})();
