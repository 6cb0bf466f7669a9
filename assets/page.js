/* The page in the browser: which view is drawn when, what stands in the address, and small things that every
   tab has.

   A view's stage calls mrpc.stage(element, name, follows, trigger, watch). mrpc.changed(name, ...) says that
   something changed that views show: they are dimmed at once, and drawn as soon as they are in sight.
   mrpc.draw(name) draws it now; a button with the class draws-NAME does so. Each drawing has a number; the
   answer ends with it as a comment, so an answer that comes late, to an older question, does not take the
   dimming away.

   mrpc.next(element) shows of its [data-after="tab/view"] the one of the view in sight.

   mrpc.go("compare/scores") opens a tab and a view in it. Any element with data-go does so when it is clicked.
   mrpc.unfold("single,others") opens the folds with these ids. Those that are open in the view stand in the address.

   mrpc.noticed(watched, values) is told the values of all components that are watched, when one of them has changed:
   of each [the names of the views that show its effect, its key in the address or "", its usual value]. What is as
   usual is left out of the address. */

window.mrpc = (() => {
  const stages = {};
  const WAIT_MS = 30; // changes that come together are one
  const LOST_MS = 60000; // an answer that takes longer may never come
  let isReady = !location.search; // with an address, views wait until it was read
  let cancelTask = () => {};

  const isSeen = (element) => element.isConnected && element.offsetParent !== null;

  function ask(view) {
    clearTimeout(view.timer);
    view.timer = setTimeout(() => {
      const isDrawn = view.answered === view.asked || Date.now() - view.askedAt > LOST_MS;
      if (!isReady || !isSeen(view.element) || !view.isOutdated || !isDrawn) return;
      view.isOutdated = false;
      view.asked += 1;
      view.askedAt = Date.now();
      view.element.setAttribute("aria-busy", "true");
      view.trigger("draw", { asked: view.asked });
    }, WAIT_MS);
  }

  // An answer that says data-again is not the last word: ask once more after so many milliseconds.
  function askAgain(view) {
    const waits = view.element.querySelector("[data-again]");
    if (!waits || view.isOutdated) return;
    setTimeout(() => {
      if (!waits.isConnected || view.isOutdated) return;
      view.isOutdated = true;
      ask(view);
    }, Number(waits.dataset.again));
  }

  // A view may propose a pair: it becomes the current one where nobody has typed another yet.
  let hasTakenPair = false;
  function takeProposed(element) {
    const place = element.querySelector("[data-proposes]");
    if (!place || hasTakenPair) return;
    const [usual, proposed] = [place.dataset.insteadOf, place.dataset.proposes].map((text) => JSON.parse(text));
    const fields = [1, 2].map((number) => document.querySelector(`#sentence${number} textarea`));
    if (!fields.every((field, at) => field?.value === usual[at] && field !== document.activeElement)) return;
    hasTakenPair = true;
    fields.forEach((field, at) => {
      field.value = proposed[at];
      field.dispatchEvent(new Event("input", { bubbles: true }));
    });
  }

  function stage(element, name, follows, trigger, watch) {
    const before = stages[name];
    const view = { element, trigger, follows, asked: before?.asked ?? 0, isOutdated: follows, timer: 0 };
    view.answered = view.asked;
    stages[name] = view;
    watch("value", () => {
      const comments = document.createNodeIterator(element, NodeFilter.SHOW_COMMENT);
      let number = null;
      for (let node = comments.nextNode(); node; node = comments.nextNode()) {
        if (/^\d+$/.test(node.data)) number = Number(node.data);
      }
      view.askedAt = Date.now(); // it works
      if (number !== view.asked) return;
      view.answered = number;
      element.removeAttribute("aria-busy");
      if (!view.isOutdated) element.classList.remove("stale");
      else ask(view); // something changed meanwhile: Gradio would forget the number of a question that waits
      askAgain(view);
      setTimeout(takeProposed, WAIT_MS, element); // Gradio is still setting what was drawn
    });
    element.addEventListener("click", (event) => {
      const button = event.target.closest("[data-select]");
      if (button) trigger("select", { ...button.dataset });
    });
    new ResizeObserver(() => view.isOutdated && view.follows && ask(view)).observe(element);
  }

  function changed(...names) {
    for (const name of names) {
      const view = stages[name];
      if (!view) continue;
      view.element.classList.add("stale");
      if (!view.follows) continue;
      view.isOutdated = true;
      ask(view);
    }
  }

  function draw(name) {
    const view = stages[name];
    if (!view || (!view.follows && view.element.hasAttribute("aria-busy"))) return; // it is under way already
    view.isOutdated = true;
    view.element.classList.add("stale");
    ask(view);
  }

  // The address was read: views may be drawn.
  function ready() {
    if (isReady) return;
    isReady = true;
    Object.values(stages).forEach((view) => view.isOutdated && view.follows && ask(view));
  }

  /* Tabs */

  const button = (at) => document.getElementById(`at-${at.replaceAll("/", "-")}-button`);

  function go(at) {
    const [tab] = at.split("/");
    button(tab)?.click();
    if (at === tab) return;
    let tries = 100; // the views of a tab are built when it is opened for the first time
    const wait = () => {
      const inner = button(at);
      if (inner) inner.click();
      else if ((tries -= 1) > 0) setTimeout(wait, 50);
    };
    wait();
  }

  // The folds that a link names by their ids, with commas between them.
  function unfold(names) {
    for (const name of (names ?? "").split(",").filter((id) => /^[\w-]+$/.test(id))) {
      let tries = 100;
      const wait = () => {
        const fold = document.getElementById(name);
        const head = fold?.querySelector(":scope > summary, :scope > button");
        if (!head || !isSeen(head)) {
          if ((tries -= 1) > 0) setTimeout(wait, 100);
          return;
        }
        if (!fold.open && !head.classList.contains("open")) head.click();
        fold.scrollIntoView({ block: "nearest" });
      };
      wait();
    }
  }

  function where() {
    const open = [...document.querySelectorAll('button[role="tab"][aria-selected="true"]')].filter(isSeen);
    return open.map((tab) => tab.id.slice("at-".length, -"-button".length)).at(-1)?.replace("-", "/") ?? "";
  }

  function openFoldIds() {
    const heads = [...document.querySelectorAll("details[id] > summary, [id] > button.label-wrap")].filter(isSeen);
    return heads.filter((head) => head.parentElement.open || head.classList.contains("open")).map((head) => head.parentElement.id);
  }

  function noteWhere() {
    const seen = where();
    if (!seen) return;
    const address = new URL(location.href);
    const before = address.searchParams.get("at") ?? "";
    const at = before.startsWith(`${seen}/`) ? before : seen; // the views of a tab may still be hidden
    const folds = openFoldIds().join(",");
    address.searchParams.set("at", at);
    if (folds) address.searchParams.set("open", folds);
    else address.searchParams.delete("open");
    if (address.href !== location.href) history.replaceState(history.state, "", address);
  }

  // Below the tabs stands the way to the next view. Another view in sight has another height.
  function next(element) {
    const show = () => {
      const seen = where();
      for (const way of element.querySelectorAll("[data-after]")) way.hidden = way.dataset.after !== seen;
    };
    new ResizeObserver(show).observe(document.querySelector("#tabs") ?? document.body);
    document.addEventListener("click", () => setTimeout(show, WAIT_MS));
  }

  document.addEventListener("click", (event) => {
    const target = event.target.closest?.("[data-go]");
    if (target) {
      event.preventDefault();
      go(target.dataset.go);
      document.querySelector("#tabs")?.scrollIntoView({ block: "start" });
    }
    if (event.target.closest?.('button[role="tab"], summary, button.label-wrap')) setTimeout(noteWhere, WAIT_MS);
    // Runs end while nobody looks: whoever opens Compare is shown those that there are now.
    if (event.target.closest?.("#at-compare-button")) changed("compare-sides");
  });

  /* What is shown stands in the address, so that a link opens the same. */

  const MAX_VALUE = 2000;
  let tooLong = false;
  let known = null; // the values, as JSON

  function noticed(watched, values) {
    const before = known ?? watched.map(([, , usual]) => JSON.stringify(usual ?? ""));
    known = watched.map((_, at) => JSON.stringify(values[at] ?? ""));
    changed(...new Set(watched.flatMap(([views], at) => (known[at] === before[at] ? [] : views))));
    remember(watched, values);
  }

  function remember(watched, values) {
    if (!isReady) return;
    const address = new URL(location.href);
    tooLong = false;
    watched.forEach(([, key, usual], at) => {
      if (!key) return;
      const value = String(values[at] ?? "");
      tooLong ||= value.length > MAX_VALUE;
      if (value === String(usual ?? "") || value.length > MAX_VALUE) address.searchParams.delete(key);
      else address.searchParams.set(key, value);
    });
    if (address.href !== location.href) history.replaceState(history.state, "", address);
  }

  /* Copying, cancelling, text size */

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch { // no permission, or a page that was not loaded over https
      const area = document.body.appendChild(document.createElement("textarea"));
      area.value = text;
      area.select();
      const copied = document.execCommand("copy");
      area.remove();
      return copied;
    }
  }

  function say(target, text) {
    target.dataset.usual ??= target.textContent;
    target.textContent = text;
    setTimeout(() => { target.textContent = target.dataset.usual; }, 1500);
  }

  document.addEventListener("click", async (event) => {
    const target = event.target.closest?.("[data-copy], [data-copy-link]");
    if (!target) return;
    const isLink = "copyLink" in target.dataset;
    const text = isLink ? location.href : target.parentElement.querySelector("code").textContent;
    const copied = await copy(text);
    target.focus();
    say(target, copied ? (isLink && tooLong ? "Copied, without the long text" : "Copied") : "Not allowed");
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button[class*='draws-']");
    if (button && !button.disabled) draw([...button.classList].find((name) => name.startsWith("draws-")).slice(6));
  });

  document.addEventListener("click", (event) => {
    const target = event.target.closest?.("[data-cancel]");
    if (!target) return;
    target.disabled = true;
    target.textContent = "Cancelling …";
    cancelTask(target.dataset.cancel);
  });

  const SIZES = ["100%", "125%", "150%"];
  const setSize = (size) => { document.documentElement.style.fontSize = SIZES.includes(size) ? size : SIZES[0]; };
  const keptSize = () => { try { return localStorage.getItem("mrpc-text-size"); } catch { return null; } };
  setSize(keptSize());
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-text-size]")) return;
    const now = SIZES.indexOf(document.documentElement.style.fontSize);
    const size = SIZES[(Math.max(0, now) + 1) % SIZES.length];
    setSize(size);
    try { localStorage.setItem("mrpc-text-size", size); } catch { /* not kept, then */ }
  });

  /* Radio buttons of one question, and tabs of one row, are one stop of the Tab key; the arrow keys walk them. Gradio
     makes each a stop of its own. */

  const GROUPS = [
    { group: "fieldset", item: "input[type=radio]:not(:disabled)", chosen: (item) => item.checked },
    { group: "[role=tablist]", item: "[role=tab]", chosen: (item) => item.getAttribute("aria-selected") === "true" },
  ];

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Tab") return;
    for (const { group, item, chosen } of GROUPS) {
      for (const place of document.querySelectorAll(group)) {
        const items = [...place.querySelectorAll(item)].filter(isSeen);
        const stop = items.find(chosen) ?? items[0];
        items.forEach((one) => { one.tabIndex = one === stop ? 0 : -1; });
      }
    }
  }, true);

  document.addEventListener("keydown", (event) => {
    const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const kind = GROUPS.find(({ item }) => event.target.matches?.(item));
    const place = kind && event.target.closest(kind.group);
    if (!move || !place) return;
    const items = [...place.querySelectorAll(kind.item)].filter(isSeen);
    const next = items[(items.indexOf(event.target) + move + items.length) % items.length];
    event.preventDefault();
    next.focus();
    next.click();
  });

  // A fold that a person opened stays open when the server draws it anew.
  const openFolds = new Set();
  const foldName = (fold) => `${fold.closest("[id]")?.id}: ${fold.querySelector("summary")?.textContent}`;
  document.addEventListener("click", (event) => {
    const fold = event.target.closest?.("summary")?.closest("details.fold");
    if (fold) openFolds[fold.open ? "delete" : "add"](foldName(fold));
  });
  new MutationObserver(() => {
    if (!openFolds.size) return;
    for (const fold of document.querySelectorAll("details.fold:not([open])")) {
      if (openFolds.has(foldName(fold))) fold.open = true;
    }
  }).observe(document.documentElement, { childList: true, subtree: true, attributeFilter: ["open"] });

  // In a frame of another site the sign-in's cookie would be blocked: a tab of its own keeps it.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("[data-sign-in]");
    if (link && window.top !== window) link.target = "_blank";
  });

  /* Gradio's loading screen counts its seconds in every frame, and goes on when it is gone: the page then draws sixty
     frames a second for ever. It keeps a requestAnimationFrame of its own, so its next frame is found among the numbers
     that nobody else was given, and cancelled. */
  function endLoadingClock() {
    const plain = window.requestAnimationFrame;
    const next = (draw) => plain.call(window, draw);
    const given = new Set();
    window.requestAnimationFrame = (draw) => {
      const id = next(draw);
      given.add(id);
      return id;
    };
    const first = next(() => next(() => {
      window.requestAnimationFrame = plain;
      const last = next(() => {});
      for (let id = first + 1; id < last; id++) if (!given.has(id)) cancelAnimationFrame(id);
    }));
  }

  function courier(server) {
    endLoadingClock();
    cancelTask = (id) => server.cancel_task(id);
  }

  return { stage, changed, noticed, draw, ready, go, next, unfold, where, copy, courier };
})();
