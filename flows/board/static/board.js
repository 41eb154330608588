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
  const elsewhere = [...document.querySelectorAll("#compare input[type=hidden]")].map((one) => one.value);
  const button = document.getElementById("compare-button");
  const withPicks = (address, ids) => {
    const url = new URL(address, location);
    url.searchParams.delete("pick");
    for (const id of ids) url.searchParams.append("pick", id);
    return url.href;
  };
  // The address says what is selected, so that it outlives other pages of the table, a star and a reload.
  const count = () => {
    if (!button) return;
    const ids = [...elsewhere, ...chosen().map((row) => row.dataset.run)];
    const apart = elsewhere.length ? `, ${elsewhere.length} on other pages` : "";
    button.textContent = ids.length ? `Compare ${ids.length} selected${apart}` : "Compare selected";
    history.replaceState(null, "", withPicks(location, ids));
    for (const link of document.querySelectorAll(".runs thead a, .pages a")) link.href = withPicks(link.href, ids);
    for (const mark of document.querySelectorAll(".runs button")) mark.formAction = withPicks(mark.formAction, ids);
    document.querySelectorAll("#view input[name=pick]").forEach((one) => one.remove());
    for (const value of ids) {
      document.getElementById("view").append(Object.assign(document.createElement("input"), { type: "hidden", name: "pick", value }));
    }
  };
  document.addEventListener("change", count);
  window.addEventListener("pageshow", count);

  // A star, or that a row is hidden, loads the page anew: where one was outlives that.
  const marking = "medloop.marking";
  document.getElementById("marking")?.addEventListener("submit", () => {
    sessionStorage.setItem(marking, rows[at]?.dataset.run ?? "");
  });
  const there = rows.findIndex((row) => row.dataset.run === sessionStorage.getItem(marking));
  if (rows.length) sessionStorage.removeItem(marking);
  if (there >= 0) move(there);

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
