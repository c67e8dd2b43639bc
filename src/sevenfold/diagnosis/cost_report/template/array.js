
/* The array at work: one drawing a chip, a layer to choose, steps to walk or to play. */
(() => {
  "use strict";
  const all = JSON.parse(document.getElementById("films").textContent);
  const colours = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999"];
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const size = 64;
  const node = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };

  for (const place of document.querySelectorAll("[data-films]")) {
    const films = all[place.dataset.films];
    const svg = place.querySelector("svg");
    const choice = place.querySelector("select");
    const slider = place.querySelector("input");
    const button = place.querySelector("button");
    const caption = place.querySelector(".film-step");
    const legend = place.querySelector(".caption");
    let film = films[0], step = 0, timer = 0;

    const draw = () => {
      const [text, cells] = film.frames[step];
      svg.replaceChildren();
      svg.setAttribute("viewBox", `0 0 ${film.columns * size + 26} ${film.rows * size + 20}`);
      for (let row = 0; row < film.rows; row += 1) {
        svg.append(node("text", { class: "mark", x: 12, y: 20 + (row + 0.55) * size }, row));
        for (let column = 0; column < film.columns; column += 1) {
          svg.append(node("rect", { class: "idle", x: 26 + column * size + 1, y: 20 + row * size + 1, width: size - 2, height: size - 2, rx: 3 }));
        }
      }
      for (let column = 0; column < film.columns; column += 1) svg.append(node("text", { class: "mark", x: 26 + (column + 0.5) * size, y: 13 }, column));
      for (const [row, column, colour, label] of cells) {
        const x = 26 + column * size, y = 20 + row * size;
        svg.append(node("rect", { x: x + 1, y: y + 1, width: size - 2, height: size - 2, rx: 3, fill: colours[colour % colours.length], "fill-opacity": 0.5 }));
        const lines = label.split("\n");
        const font = Math.min(12, Math.floor((size - 6) / lines.length) - 1, Math.floor((size - 6) / (0.56 * Math.max(...lines.map((line) => line.length)))));
        lines.forEach((line, n) => svg.append(node("text", { x: x + size / 2, y: y + size / 2 + (n - (lines.length - 1) / 2) * (font + 1) + font / 3, style: `font-size:${font}px` }, line)));
      }
      caption.textContent = text;
      slider.value = step;
    };
    const show = (number) => { step = (number + film.frames.length) % film.frames.length; draw(); };
    const stop = () => { clearInterval(timer); timer = 0; button.textContent = "Play"; };
    const play = () => { timer = setInterval(() => show(step + 1), 700); button.textContent = "Pause"; };
    const choose = (number) => {
      film = films[number];
      slider.max = film.frames.length - 1;
      legend.textContent = `${film.elements}. ${film.legend}.`;
      show(0);
    };
    films.forEach((one, n) => choice.append(new Option(one.layer, n)));
    choice.addEventListener("change", () => choose(Number(choice.value)));
    slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
    button.addEventListener("click", () => (timer ? stop() : play()));
    choose(0);
    if (!still.matches && film.frames.length > 1) play();
  }
})();
