/* How a page follows what happens: it asks, and gets the parts that it does not have yet.

   mrpcFollowRun(props, server, watch, refresh) asks server.ask(...) again and again, as long as somebody
   looks at the Train tab. props.value is {run_id, buttons, asked}: the run that the page shows, a mark of its
   buttons, and, when that came from refresh(), for which run it was asked. refresh({run_id}) asks for other
   buttons, or for another run where this one is gone.

   mrpcPart(name, show) calls show(content) with what is known of a part, and at each change.

   mrpcHtmlPart(name, props, watch, after) is that for an element of Gradio's whose value is HTML; after() is called
   once it is drawn.

   mrpcAskNow() asks at once. */

(() => {
  const RETRY_MS = 3000;
  const REFRESH_MS = 5000; // an answer that has not come by then will not come
  const contents = {};
  const shows = {};

  window.mrpcAskNow = () => {};

  window.mrpcPart = (name, show) => {
    shows[name] = show;
    if (name in contents) show(contents[name]);
  };

  window.mrpcHtmlPart = (name, props, watch, after) => {
    const show = (content) => {
      props.value = content; // drawn in a microtask
      if (after) queueMicrotask(after);
    };
    mrpcPart(name, show);
    // Gradio gives an element its first value once more when it is in its place.
    watch("value", () => name in contents && props.value !== contents[name] && show(contents[name]));
  };

  window.mrpcFollowRun = (props, server, watch, refresh) => {
    const place = document.querySelector("#train-run");
    const page = Math.random().toString(36).slice(2);
    const has = {};
    let shown = { run_id: "", buttons: "" };
    let timer = null;
    let isAsking = false;
    let isOutdated = false;
    let refreshedAt = -REFRESH_MS;

    const isSeen = () => !document.hidden && place.offsetWidth > 0;

    async function ask() {
      clearTimeout(timer);
      if (isAsking) {
        isOutdated = true;
        return;
      }
      if (!isSeen()) return;
      isAsking = true;
      isOutdated = false;
      let waitMs = RETRY_MS;
      const runId = shown.run_id;
      const chosen = document.querySelector("[data-chosen]")?.dataset.chosen ?? "";
      try {
        const answer = await server.ask({ page, run_id: runId, chosen, has });
        waitMs = 1000 * answer.wait_s;
        if (runId === shown.run_id) take(answer);
      } catch (error) {
        console.info("The app does not answer; asking again.", error);
      }
      isAsking = false;
      timer = setTimeout(ask, isOutdated ? 0 : waitMs);
    }

    function take({ run_id, buttons, parts }) {
      const isOther = run_id !== shown.run_id;
      if ((isOther || buttons !== shown.buttons) && performance.now() - refreshedAt > REFRESH_MS) {
        refreshedAt = performance.now();
        refresh({ run_id: shown.run_id });
      }
      if (isOther) return;
      for (const [name, [mark, content]] of Object.entries(parts)) {
        has[name] = mark;
        contents[name] = content;
        shows[name]?.(content);
      }
    }

    function look() {
      if (!props.value) return;
      const { asked, ...now } = props.value;
      if (asked === null) shown = now;
      else {
        refreshedAt = -REFRESH_MS;
        // A late answer: another run was picked meanwhile, and the buttons that came are not its own.
        if (asked === shown.run_id) shown = now;
        else shown.buttons = null;
      }
      ask();
    }

    window.mrpcAskNow = ask;
    watch("value", look);
    document.addEventListener("visibilitychange", ask);
    new ResizeObserver(ask).observe(place); // the tab was opened
    look();
    ask();
  };
})();
