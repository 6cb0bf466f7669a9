/* Lists whose rows can be pressed and chosen.

   mrpcKeepFocus(element, watch) keeps the keyboard where it was when a list is drawn anew.

   mrpcChooseRuns(element, trigger, watch, numSlots) lets a person choose runs by check boxes
   [data-compare=RUN]. Each chosen run has a slot, and with it a colour, for as long as it is chosen. */

(() => {
  const keyOf = (item) => JSON.stringify({ ...item.dataset });

  window.mrpcKeepFocus = (element, watch) => {
    let key = null;
    element.addEventListener("focusin", ({ target }) => (key = keyOf(target)));
    element.addEventListener("focusout", ({ relatedTarget, target }) => {
      if (relatedTarget || target.isConnected) key = relatedTarget && element.contains(relatedTarget) ? key : null;
    });
    watch("value", () => {
      if (!key || key === "{}" || element.contains(document.activeElement)) return;
      if (document.activeElement && document.activeElement !== document.body) return;
      [...element.querySelectorAll("button, input, [tabindex]")].find((item) => keyOf(item) === key)?.focus();
    });
  };

  window.mrpcChooseRuns = (element, trigger, watch, numSlots) => {
    const slots = Array(numSlots).fill("");

    function show() {
      for (const box of element.querySelectorAll("[data-compare]")) {
        const slot = slots.indexOf(box.dataset.compare);
        box.checked = slot >= 0;
        box.disabled = slot < 0 && !slots.includes("");
        box.parentElement.dataset.slot = slot >= 0 ? slot + 1 : "";
      }
    }

    element.addEventListener("change", ({ target }) => {
      if (!target.matches("[data-compare]")) return;
      const slot = target.checked ? slots.indexOf("") : slots.indexOf(target.dataset.compare);
      if (slot >= 0) slots[slot] = target.checked ? target.dataset.compare : "";
      show();
      trigger("input", { slots: [...slots] });
    });
    watch("value", () => {
      const listed = new Set([...element.querySelectorAll("[data-compare]")].map((box) => box.dataset.compare));
      const gone = slots.filter((run) => run && !listed.has(run));
      if (gone.length) {
        slots.forEach((run, slot) => gone.includes(run) && (slots[slot] = ""));
        trigger("input", { slots: [...slots] });
      }
      show();
    });
    show();
  };
})();
