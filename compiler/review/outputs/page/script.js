"use strict";
const groups = [...document.querySelectorAll("details.group")];
const search = document.querySelector("#search");
const count = document.querySelector("#count");
const none = document.querySelector("#none");

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const group of groups) {
    const text = (group.dataset.text ??= (group.dataset.proxies + " " + group.textContent).toLowerCase());
    group.hidden = !words.every((word) => text.includes(word));
    shown += !group.hidden;
  }
  count.textContent = words.length ? `${shown} of ${groups.length}` : "";
  none.hidden = shown > 0;
}

search?.addEventListener("input", filter);
document.querySelector("#unfold")?.addEventListener("click", (event) => {
  const open = groups.some((group) => !group.hidden && !group.open);
  for (const group of groups) if (!group.hidden) group.open = open;
  event.target.textContent = open ? "Fold all" : "Unfold all";
});
document.querySelector("#theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== search && search) { event.preventDefault(); search.focus(); }
});
for (const button of document.querySelectorAll("[data-find]")) {
  button.addEventListener("click", () => { search.value = button.dataset.find; filter(); search.scrollIntoView({block: "start"}); });
}
