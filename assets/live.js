/* The Fine-tune tab in the browser: it asks how things go, fills the parts of the page that are in sight, and takes
   along what is pressed.

   mrpcLive.courier(props, server, watch, trigger, plotlyUrl) is called by the element that asks: server.ask(...)
   again and again, as long as somebody looks at a part. mrpcLive.place(element) names an element with parts: every
   [data-part] in it is filled with HTML, or, with data-kind, as plots or a table.

   In such an element a press on [data-act] does something with a run, [data-take] downloads something of it,
   [data-fill] takes its settings into the form. A form with data-act sends its fields along.

   mrpcLive.show(runId) looks at another run, mrpcLive.ask() asks at once, mrpcLive.done() after an act. */

window.mrpcLive = (() => {
  const RETRY_MS = 3000;
  const PAUSE_MS = 12000; // after "too many requests", as the proxy of a Space answers
  const page = Math.random().toString(36).slice(2);
  const contents = {}; // part -> [mark, content]
  const places = new Set();
  let runId = "";
  let runsMark = null;
  let wasAlive = false;
  let own = new Set(); // ids of the runs that this visitor started
  let courierOf = null;
  let timer = null;
  let isAsking = false;
  let isOutdated = false;
  let pausedUntil = 0;
  let saidIn = null; // where the answer to the last press is shown

  const isSeen = (element) => element.isConnected && element.checkVisibility();
  const partsIn = (element) => [...element.querySelectorAll("[data-part]")];
  // An empty part hides itself, so it is where it stands that counts.
  const seenParts = () => [...places].flatMap(partsIn).filter((part) => isSeen(part.parentElement));

  /* Asking */

  async function ask() {
    clearTimeout(timer);
    if (isAsking) {
      isOutdated = true;
      return;
    }
    const pauseMs = pausedUntil - Date.now();
    if (pauseMs > 0) {
      timer = setTimeout(ask, pauseMs);
      return;
    }
    const seen = document.hidden || !courierOf ? [] : seenParts();
    if (!seen.length) return;
    isAsking = true;
    isOutdated = false;
    let waitMs = RETRY_MS;
    const asked = runId;
    const names = [...new Set(seen.map((part) => part.dataset.part))];
    const has = Object.fromEntries(names.filter((name) => contents[name]).map((name) => [name, contents[name][0]]));
    try {
      const answer = await courierOf.server.ask({ page, run_id: asked, chosen: chosen(), seen: names, has });
      waitMs = 1000 * answer.wait_s;
      if (asked === runId) take(answer);
      else isOutdated = true;
    } catch (error) {
      console.info("The app does not answer; asking again.", error);
    }
    isAsking = false;
    timer = setTimeout(ask, isOutdated ? 0 : waitMs);
  }

  // Gradio's client does not tell which status an answer had.
  const plainFetch = window.fetch;
  window.fetch = async (...request) => {
    const answer = await plainFetch.apply(window, request);
    if (answer.status === 429) pausedUntil = Date.now() + PAUSE_MS;
    return answer;
  };

  function take(answer) {
    const isGone = answer.run_id !== runId;
    const isNew = runsMark !== null && answer.runs !== runsMark;
    if (isNew || (wasAlive && !answer.is_alive)) mrpc.changed("presets"); // their times are measured now
    runsMark = answer.runs;
    wasAlive = answer.is_alive;
    if (isGone || isNew) courierOf.trigger("runs", {});
    for (const [name, news] of Object.entries(answer.parts)) contents[name] = news;
    own = new Set(answer.own);
    for (const element of places) partsIn(element).forEach(fill);
    markOwn();
  }

  // A visitor sees which runs are theirs: those they may stop.
  function markOwn() {
    for (const element of places) {
      for (const item of element.querySelectorAll("[data-run-id], tr[data-id]")) {
        item.classList.toggle("is-own", own.has(item.dataset.runId ?? item.dataset.id));
      }
    }
  }

  function show(run) {
    if (!run || run === runId) {
      ask();
      return;
    }
    runId = run;
    say("");
    document.querySelectorAll("#runs-live [data-kind=table]").forEach(showChosen);
    ask();
  }

  /* Filling */

  function fill(part) {
    const news = contents[part.dataset.part];
    if (!news || part.mark === news[0] || isTypedIn(part)) return;
    [part.mark] = news;
    if (part.dataset.kind === "plots") drawPlots(part, news[1]);
    else if (part.dataset.kind === "table") fillTable(part, news[1]);
    else fillHtml(part, news[1]);
  }

  // Nobody's typing is thrown away: the part is filled when the field is left.
  function isTypedIn(part) {
    const field = part.querySelector("input:focus, textarea:focus, select:focus");
    if (!field || part.dataset.kind) return false;
    field.addEventListener("blur", () => setTimeout(() => fill(part), 0), { once: true });
    return true;
  }

  const keyOf = (item) => JSON.stringify({ ...item.dataset });

  // What was open stays open, and the keyboard stays where it was.
  function fillHtml(part, html) {
    const open = [...part.querySelectorAll("details[open] > summary")].map((summary) => summary.textContent);
    const focused = part.contains(document.activeElement) ? keyOf(document.activeElement) : null;
    const wasAt = part.dataset.run;
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    if (wasAt === runId) renew(part, fresh.content);
    else part.replaceChildren(fresh.content);
    part.dataset.run = runId;
    if (wasAt === runId) {
      for (const summary of part.querySelectorAll("details > summary")) {
        summary.parentElement.open = open.includes(summary.textContent);
      }
    }
    if (focused && focused !== "{}") {
      [...part.querySelectorAll("button, summary, [tabindex]")].find((item) => keyOf(item) === focused)?.focus();
    }
    if ("followEnd" in part.dataset) followEnd(part);
  }

  // Only what differs is drawn anew: that costs less, and a screen reader does not say the rest again.
  function renew(old, fresh) {
    const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
    const isAlike = before.length === after.length && before.every((node, at) => node.nodeName === after[at].nodeName);
    if (!isAlike) {
      old.replaceChildren(...after);
      return;
    }
    before.forEach((node, at) => {
      if (node.isEqualNode(after[at])) return;
      if (node.nodeType !== Node.ELEMENT_NODE) node.nodeValue = after[at].nodeValue;
      else {
        for (const { name } of [...node.attributes]) {
          if (name !== "open" && !after[at].hasAttribute(name)) node.removeAttribute(name);
        }
        for (const { name, value } of after[at].attributes) node.setAttribute(name, value);
        renew(node, after[at]);
      }
    });
  }

  function followEnd(part) {
    const log = part.querySelector("pre");
    if (!log) return;
    const toEnd = () => { if (!part.isReadingBack) log.scrollTop = log.scrollHeight; };
    log.onscroll = () => {
      part.isReadingBack = log.scrollHeight - log.scrollTop - log.clientHeight > 40;
    };
    toEnd();
  }

  function drawPlots(part, figures) {
    part.hidden = !figures;
    part.draw ??= mrpcPlots.live(part, courierOf.plotlyUrl);
    if (figures) part.draw(figures);
  }

  /* The table of runs: a name looks at the run, a box lays it over the others. */

  let slots = [];
  const chosen = () => slots.join(",");

  function fillTable(part, value) {
    part.hidden = !value;
    if (!value) return;
    if (!part.props) {
      part.props = { value };
      part.addEventListener("filled", () => showChosen(part));
      slots = Array(Number(part.dataset.slots)).fill("");
      mrpcTables.table(part, part.props, (_, changed) => { part.changed = changed; }, (_, { id }) => select(id));
      part.addEventListener("change", ({ target }) => target.matches("[data-choose]") && choose(part, target));
    }
    const listed = new Set(value.rows.map((row) => row.id));
    slots = slots.map((run) => (listed.has(run) ? run : ""));
    if (part.props.value !== value) {
      part.props.value = value;
      part.changed();
    }
  }

  function choose(part, box) {
    const slot = box.checked ? slots.indexOf("") : slots.indexOf(box.dataset.choose);
    if (slot >= 0) slots[slot] = box.checked ? box.dataset.choose : "";
    showChosen(part);
    ask();
  }

  function showChosen(part) {
    markOwn();
    for (const box of part.querySelectorAll("[data-choose]")) {
      const slot = slots.indexOf(box.dataset.choose);
      box.checked = slot >= 0;
      box.disabled = slot < 0 && !slots.includes("");
      box.parentElement.dataset.slot = slot >= 0 ? slot + 1 : "";
    }
    for (const line of part.querySelectorAll("tr[data-id]")) {
      const isShown = line.dataset.id === runId;
      line.classList.toggle("is-selected", isShown);
      if (isShown) line.setAttribute("aria-current", "true");
      else line.removeAttribute("aria-current");
    }
  }

  // The bar's list decides which run is looked at.
  function select(run) {
    courierOf.trigger("runs", { run_id: run });
  }

  /* Pressing */

  function say(html) {
    if (saidIn) saidIn.innerHTML = html;
    if (courierOf) courierOf.props.value = ""; // so that the same words come again as a change
  }

  function send(event, element, data) {
    const place = [...places].find((one) => one.contains(element)) ?? element.closest(".stage");
    saidIn = place.querySelector("[data-said]") ?? document.querySelector("#runs-live [data-said]");
    saidIn?.setAttribute("aria-busy", "true");
    courierOf.trigger(event, { run_id: element.closest("[data-run-id]")?.dataset.runId ?? runId, ...data });
  }

  function onClick(event) {
    const button = event.target.closest("[data-act], [data-take], [data-fill]");
    if (!button || button.tagName === "FORM") return;
    const { act, take: what, runId: ofRun, ...fields } = button.dataset;
    if (what) send("take", button, { what });
    else if ("fill" in button.dataset) send("fill", button, {});
    else send("act", button, { act, fields: snake(fields) });
    const question = button.closest("details.question");
    if (question) question.open = false;
  }

  function onSubmit(event) {
    const form = event.target.closest("form[data-act]");
    if (!form) return;
    event.preventDefault();
    document.activeElement?.blur();
    send("act", form, { act: form.dataset.act, fields: Object.fromEntries(new FormData(form)) });
  }

  const snake = (fields) => Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value]),
  );

  function done() {
    saidIn?.removeAttribute("aria-busy");
    mrpc.changed("disk");
    ask();
  }

  /* The form: what cannot be used is marked where it stands. */

  function markFields(plan) {
    for (const field of document.querySelectorAll("#train-form [aria-invalid]")) {
      field.removeAttribute("aria-invalid");
      field.removeAttribute("aria-describedby");
    }
    document.querySelectorAll("#train-form .field-problem").forEach((problem) => problem.remove());
    for (const problem of plan.querySelectorAll("[data-field]")) {
      const block = document.getElementById(problem.dataset.field);
      const field = block?.querySelector("input, textarea");
      if (!field) continue;
      const text = document.createElement("p");
      text.className = "field-problem";
      text.id = `${problem.dataset.field}-problem`;
      text.textContent = problem.textContent;
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-describedby", text.id);
      block.append(text);
    }
  }

  function goToField(event) {
    const { field, group } = event.target.closest?.("[data-field]")?.dataset ?? {};
    if (!field) return;
    const block = () => document.getElementById(field);
    if (!block() || !isSeen(block())) document.querySelector(`#${group} > button`)?.click();
    setTimeout(() => block()?.querySelector("input, textarea")?.focus(), 100);
  }

  function watchPlan() {
    const plan = document.querySelector("#train-plan");
    if (!plan || plan.isWatched) return;
    plan.isWatched = true;
    new MutationObserver(() => markFields(plan)).observe(plan, { childList: true, subtree: true });
    plan.addEventListener("click", goToField);
    document.querySelector("#train-form")?.addEventListener("click", () => setTimeout(() => markFields(plan), 150));
    markFields(plan);
  }

  /* Beginning */

  function place(element) {
    places.add(element);
    element.addEventListener("click", onClick);
    element.addEventListener("submit", onSubmit);
    element.addEventListener("toggle", ask, true); // a fold was opened
    partsIn(element).forEach(fill);
    new ResizeObserver(() => { watchPlan(); ask(); }).observe(element); // its tab was opened
  }

  function courier(props, server, watch, trigger, plotlyUrl) {
    courierOf = { props, server, trigger, plotlyUrl };
    watch("value", () => {
      if (!props.value || !saidIn) return;
      saidIn.removeAttribute("aria-busy");
      saidIn.innerHTML = props.value;
    });
    document.addEventListener("visibilitychange", ask);
    document.addEventListener("click", (event) => {
      // The buttons of the disk and of ONNX stand in stages of their own.
      if (event.target.closest?.("#disk-held, #stage-onnx")) onClick(event);
    });
    ask();
  }

  return { courier, place, show, ask, done };
})();
