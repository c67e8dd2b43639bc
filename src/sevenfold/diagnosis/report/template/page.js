/* Draws the figures in the scheme's colours, and again when the scheme, the width or the medium changes. */
(() => {
  "use strict";
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 560px)");
  let printing = false;

  const theme = () => {
    const style = getComputedStyle(document.body);
    return (name) => style.getPropertyValue(`--${name}`).trim();
  };
  const faded = (hex, alpha) => {
    const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
    return `rgba(${r},${g},${b},${alpha})`;
  };
  /* "@hard/0.3" -> rgba; everything else as it is. Only in places that hold colours or fonts. */
  const paint = (value, colour) => {
    if (typeof value === "string" && /^@[a-z]+(\/[\d.]+)?$/.test(value)) {
      const [name, alpha] = value.slice(1).split("/");
      const found = colour(name);
      return alpha ? faded(found, alpha) : found;
    }
    if (Array.isArray(value)) return value.map((item) => paint(item, colour));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, key === "customdata" ? item : paint(item, colour)]));
    }
    return value;
  };

  const draw = () => {
    const colour = theme();
    for (const place of document.querySelectorAll("[data-figure]")) {
      const figure = figures[place.dataset.figure];
      const layout = paint(figure.layout, colour);
      layout.height = figure.height;
      layout.width = printing ? (place.closest(".charts") ? 310 : 680) : place.clientWidth;
      layout.autosize = false;
      if (narrow.matches) layout.font.size = 12;
      if (printing) layout.font.size = 11;
      Plotly.react(place, paint(figure.data, colour), layout, { displayModeBar: false, responsive: false });
      /* On paper the width is not known here: the drawing is scaled to its box. */
      for (const svg of place.querySelectorAll(".main-svg")) svg.setAttribute("viewBox", `0 0 ${layout.width} ${layout.height}`);
    }
  };

  let waiting = 0;
  const redraw = () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(draw); };
  draw();
  dark.addEventListener("change", redraw);
  window.addEventListener("resize", redraw);

  const opened = [];
  window.addEventListener("beforeprint", () => {
    printing = true;
    document.body.classList.add("printing");
    for (const part of document.querySelectorAll("details:not([open])")) {
      if (part.closest(".provenance")) { part.open = true; opened.push(part); }
    }
    draw();
  });
  window.addEventListener("afterprint", () => {
    printing = false;
    document.body.classList.remove("printing");
    while (opened.length) opened.pop().open = false;
    draw();
  });

  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      let copied = true;
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
      } catch {
        /* A page opened from a file may not have the clipboard: select the text instead. */
        const range = document.createRange();
        range.selectNodeContents(code);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        copied = document.execCommand("copy");
      }
      button.textContent = copied ? "Copied" : "Selected";
      setTimeout(() => { button.textContent = "Copy"; }, 1600);
    });
  }

  document.getElementById("save").addEventListener("click", () => {
    const text = document.getElementById("diagnosis").textContent;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(JSON.parse(text), null, 2)], { type: "application/json" }));
    link.download = "report.json";
    link.click();
    URL.revokeObjectURL(link.href);
  });
})();
