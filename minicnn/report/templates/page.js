// Shows the faces of one cell of a confusion matrix at a time; opens what is folded for print.
"use strict";
for (const matrix of document.querySelectorAll(".confusion")) {
  const links = [...matrix.querySelectorAll("a.cell")];
  const panels = [...matrix.querySelectorAll(".cell-faces")];
  if (!panels.length) continue;
  const cells = [...matrix.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll(".cell")]);
  let kept = links.reduce((most, link) => (wrong(link) > wrong(most) ? link : most), links[0]);

  function wrong(link) {
    const cell = link.parentElement;
    return cell.classList.contains("right") ? -1 : Number(cell.style.getPropertyValue("--s"));
  }
  function show(link) {
    for (const each of links) each.setAttribute("aria-current", String(each === link));
    for (const panel of panels) panel.hidden = "#" + panel.id !== link.hash;
  }
  function keep(link) {
    kept = link;
    for (const each of links) each.tabIndex = each === link ? 0 : -1;
    show(link);
  }
  function next(link, rows, columns) {
    let row = cells.findIndex((each) => each.includes(link));
    let column = cells[row].indexOf(link);
    do {
      row += rows;
      column += columns;
    } while (cells[row]?.[column] && !links.includes(cells[row][column]));
    return cells[row]?.[column];
  }
  const ways = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  for (const link of links) {
    link.addEventListener("pointerenter", () => show(link));
    link.addEventListener("focus", () => keep(link));
    link.addEventListener("click", (event) => {
      event.preventDefault();
      keep(link);
    });
    link.addEventListener("keydown", (event) => {
      const way = ways[event.key];
      const found = way && next(link, ...way);
      if (way) event.preventDefault();
      if (found) found.focus();
    });
  }
  matrix.querySelector("tbody").addEventListener("pointerleave", () => show(kept));
  matrix.classList.add("live");
  keep(kept);
}
const folded = [...document.querySelectorAll("details")];
let before = [];
addEventListener("beforeprint", () => {
  before = folded.map((each) => each.open);
  for (const each of folded) each.open = true;
});
addEventListener("afterprint", () => {
  folded.forEach((each, number) => (each.open = before[number]));
});
