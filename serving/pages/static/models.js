// What makes the pages of models livelier; all of them work without it.
"use strict";

// The page on which a model is tried: the answer is asked for anew as values change. What cannot be
// answered is that part of the page, too, and says why; a whole page is something else.
function keepAnswered(form) {
  const place = form.querySelector("[data-answer]");
  const said = form.querySelector("[data-said]");
  let timer = 0;
  let asked = null;
  const ask = async () => {
    if (asked) asked.abort();
    const own = (asked = new AbortController());
    place.setAttribute("aria-busy", "true");
    try {
      const body = new URLSearchParams(new FormData(form));
      const answer = await fetch(form.dataset.answered, { method: "POST", body, signal: own.signal });
      const html = await answer.text();
      const isPart = answer.ok || ([422, 503].includes(answer.status) && !html.startsWith("<!"));
      if (!isPart) throw new Error(`the page answered ${answer.status}`);
      show(html);
    } catch (error) {
      if (error.name === "AbortError") return;
      said.textContent = `No answer: ${error.message}. Press the button to see why.`;
    }
    place.removeAttribute("aria-busy");
  };
  const show = (html) => {
    const focused = document.activeElement && document.activeElement.id;
    place.innerHTML = html;
    if (focused && !document.activeElement.id) document.getElementById(focused)?.focus();
    const found = place.querySelector("[data-predicted]");
    said.textContent = found ? "" : "This row has no answer.";
    form.dataset.answers = Number(form.dataset.answers || 0) + 1;
  };
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, 250);
  });
}

document.querySelectorAll("form[data-answered]").forEach(keepAnswered);
