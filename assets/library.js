/* Lists whose rows can be pressed and chosen.

   mrpcKeepFocus(element) returns a function that puts the keyboard back where it was, for when a list was
   drawn anew.

   mrpcChooseRuns(element, numSlots) lets a person choose runs by check boxes [data-compare=RUN]. Each chosen
   run has a slot, and with it a colour, for as long as it is chosen; element.dataset.chosen lists them by
   slot. It returns a function for when the list was drawn anew. */

(() => {
  const keyOf = (item) => JSON.stringify({ ...item.dataset });

  window.mrpcKeepFocus = (element) => {
    let key = null;
    element.addEventListener("focusin", ({ target }) => (key = keyOf(target)));
    element.addEventListener("focusout", ({ relatedTarget, target }) => {
      if (relatedTarget || target.isConnected) key = relatedTarget && element.contains(relatedTarget) ? key : null;
    });
    return () => {
      if (!key || key === "{}" || element.contains(document.activeElement)) return;
      if (document.activeElement && document.activeElement !== document.body) return;
      [...element.querySelectorAll("button, input, [tabindex]")].find((item) => keyOf(item) === key)?.focus();
    };
  };

  window.mrpcChooseRuns = (element, numSlots) => {
    const slots = Array(numSlots).fill("");
    element.dataset.chosen = slots.join(",");

    function show() {
      for (const box of element.querySelectorAll("[data-compare]")) {
        const slot = slots.indexOf(box.dataset.compare);
        box.checked = slot >= 0;
        box.disabled = slot < 0 && !slots.includes("");
        box.parentElement.dataset.slot = slot >= 0 ? slot + 1 : "";
      }
    }

    function choose() {
      show();
      const chosen = slots.join(",");
      if (element.dataset.chosen === chosen) return;
      element.dataset.chosen = chosen;
      mrpcAskNow();
    }

    element.addEventListener("change", ({ target }) => {
      if (!target.matches("[data-compare]")) return;
      const slot = target.checked ? slots.indexOf("") : slots.indexOf(target.dataset.compare);
      if (slot >= 0) slots[slot] = target.checked ? target.dataset.compare : "";
      choose();
    });
    return () => {
      const listed = new Set([...element.querySelectorAll("[data-compare]")].map((box) => box.dataset.compare));
      slots.forEach((run, slot) => run && !listed.has(run) && (slots[slot] = ""));
      choose();
    };
  };
})();
