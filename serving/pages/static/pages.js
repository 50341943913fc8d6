// What makes the pages livelier; all of them work without it.
"use strict";

// A chain's page: parts of it are told anew as its stages go on.
function follow(page) {
  const source = new EventSource(page.dataset.events);
  source.addEventListener("seen", (event) => {
    const { parts, said } = JSON.parse(event.data);
    const focused = document.activeElement && document.activeElement.id;
    for (const [name, html] of Object.entries(parts)) {
      const part = page.querySelector(`[data-part="${name}"]`);
      const places = [...part.querySelectorAll(".scroll, .log")].map((one) => [one.scrollLeft, one.scrollTop]);
      part.innerHTML = html;
      part.querySelectorAll(".scroll, .log").forEach((one, n) => {
        if (places[n]) [one.scrollLeft, one.scrollTop] = places[n];
      });
    }
    const status = page.querySelector("[data-said]");
    if (status.textContent !== said) status.textContent = said;
    if (focused && !document.activeElement.id) document.getElementById(focused)?.focus();
  });
  source.addEventListener("over", () => source.close());
}

// The form that sends a file: dropping one is choosing it, and choosing one sends it.
function takeDrops(form) {
  const input = form.querySelector("input[type=file]");
  const error = form.querySelector(".error");
  const isTaken = () => {
    const tooLarge = [...input.files].some((file) => file.size > Number(form.dataset.most));
    error.textContent = tooLarge ? form.dataset.tooLarge : "";
    return !tooLarge && input.files.length > 0;
  };
  const send = () => { if (isTaken()) form.requestSubmit(); };
  form.addEventListener("submit", (event) => {
    if (isTaken()) form.classList.add("is-sent");
    else event.preventDefault();
  });
  input.addEventListener("change", send);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    form.classList.add("is-over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) form.classList.remove("is-over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    form.classList.remove("is-over");
    const address = event.dataTransfer.getData("text/plain");
    if (event.dataTransfer.files.length) {
      input.files = event.dataTransfer.files;
      send();
    } else if (address) {
      document.getElementById("path").value = address;
    }
  });
  window.addEventListener("pageshow", () => form.classList.remove("is-sent"));
}

// What predicting the chosen column would be.
function sayAnswers(select) {
  const said = document.getElementById("answer");
  select.addEventListener("change", () => {
    said.textContent = select.selectedOptions[0].dataset.answer || "";
  });
}

document.querySelectorAll("[data-events]").forEach(follow);
document.querySelectorAll("form.drop").forEach(takeDrops);
document.querySelectorAll("select[data-answers]").forEach(sayAnswers);
document.querySelector("[data-focus]")?.focus();
