"use strict";
(() => {
  const rows = [...document.querySelectorAll(".runs tbody tr[data-run]")];
  const box = (row) => row.querySelector("input[name=run]");
  let at = -1;

  const move = (to) => {
    if (!rows.length) return;
    rows[at]?.classList.remove("at");
    at = Math.min(Math.max(to, 0), rows.length - 1);
    rows[at].classList.add("at");
    rows[at].querySelector("a.open").focus();
  };
  for (const [place, row] of rows.entries()) {
    row.addEventListener("focusin", () => {
      rows[at]?.classList.remove("at");
      at = place;
      row.classList.add("at");
    });
  }

  const chosen = () => rows.filter((row) => box(row).checked);
  const button = document.getElementById("compare-button");
  const count = () => {
    if (button) button.textContent = chosen().length ? `Compare ${chosen().length} selected` : "Compare selected";
  };
  document.addEventListener("change", count);
  window.addEventListener("pageshow", count);

  // A star, or that a row is hidden, loads the page anew: what was selected and where one was outlives that.
  const marking = "medloop.marking";
  document.getElementById("marking")?.addEventListener("submit", () => {
    const kept = { chosen: chosen().map((row) => row.dataset.run), at: rows[at]?.dataset.run };
    sessionStorage.setItem(marking, JSON.stringify(kept));
  });
  const kept = JSON.parse(sessionStorage.getItem(marking));
  if (kept && rows.length) {
    sessionStorage.removeItem(marking);
    for (const row of rows) box(row).checked = kept.chosen.includes(row.dataset.run);
    const there = rows.findIndex((row) => row.dataset.run === kept.at);
    if (there >= 0) move(there);
    count();
  }

  const toggle = (row) => { box(row).checked = !box(row).checked; count(); };
  const keys = {
    ArrowDown: () => move(at + 1), j: () => move(at + 1),
    ArrowUp: () => move(at - 1), k: () => move(at - 1),
    " ": () => rows[at] && toggle(rows[at]),
    s: () => rows[at]?.querySelector(".star").click(),
    c: () => button?.click(),
    "/": () => document.getElementById("q")?.focus(),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=checkbox]), select, textarea");
    if (event.key === "Escape" && typing) typing.blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    const own = event.target.closest("button, summary, input");
    if (event.key === " " && (own || at < 0)) return;
    event.preventDefault();
    keys[event.key]();
  });

  for (const field of document.querySelectorAll("#view select, #view .line input[type=checkbox]")) {
    field.addEventListener("change", () => field.form.requestSubmit());
  }
  document.getElementById("narrow")?.addEventListener("input", (event) => {
    const sought = event.target.value.toLowerCase();
    for (const pick of document.querySelectorAll(".pick")) {
      pick.hidden = !pick.textContent.toLowerCase().includes(sought);
    }
  });
  document.getElementById("narrow")?.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
  });
  for (const copy of document.querySelectorAll("button[data-copy]")) {
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(copy.dataset.copy);
      copy.textContent = "copied";
    });
  }
})();
