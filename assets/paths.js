/* Paths through the app: a dialog with stops. Which ones were seen is kept in this browser. */

(() => {
  const KEY = "mrpc-paths";
  const read = () => { try { return JSON.parse(localStorage.getItem(KEY)) ?? {}; } catch { return {}; } };
  const keep = (seen) => { try { localStorage.setItem(KEY, JSON.stringify(seen)); } catch { /* not kept, then */ } };

  function show(dialog) {
    const seen = read();
    for (const section of dialog.querySelectorAll("[data-path]")) {
      const done = new Set(seen[section.dataset.path] ?? []);
      const stops = [...section.querySelectorAll("[data-stop]")];
      stops.forEach((stop) => stop.classList.toggle("seen", done.has(stop.dataset.stop)));
      if (!stops.length) continue; // a file with a mistake
      section.querySelector("[data-path-done]").textContent = stops.filter((stop) => done.has(stop.dataset.stop)).length;
    }
  }

  function mark(stop) {
    const { path } = stop.closest("[data-path]").dataset;
    const seen = read();
    seen[path] = [...new Set([...(seen[path] ?? []), stop.dataset.stop])];
    keep(seen);
    show(stop.closest("dialog"));
  }

  // Print a path alone: a copy of it is all that the page shows meanwhile.
  function printAlone(path) {
    const sheet = document.createElement("main");
    sheet.className = "print-sheet";
    sheet.append(path.cloneNode(true));
    sheet.querySelectorAll("details").forEach((answer) => { answer.open = true; });
    const away = [...document.body.children];
    away.forEach((one) => one.setAttribute("data-away", ""));
    document.body.append(sheet);
    window.addEventListener("afterprint", () => {
      sheet.remove();
      away.forEach((one) => one.removeAttribute("data-away"));
    }, { once: true });
    window.print();
  }

  document.addEventListener("click", (event) => {
    const target = event.target.closest?.("[data-open-path], [data-stop-link], [data-path-reset], [data-path-print], [data-stop] summary");
    if (!target) return;
    const dialog = document.querySelector("#course-path");
    if ("openPath" in target.dataset) {
      show(dialog);
      dialog.showModal();
    } else if ("pathReset" in target.dataset) {
      const seen = read();
      delete seen[target.closest("[data-path]").dataset.path];
      keep(seen);
      show(dialog);
    } else if ("pathPrint" in target.dataset) {
      printAlone(target.closest("[data-path]"));
    } else {
      mark(target.closest("[data-stop]")); // a link then loads the view that it names
    }
  });
})();
