// A little comfort for the portal. Every page works without it.
"use strict";

// Dates in the reader's own language and time zone.
function localise(root) {
  const now = Date.now();
  const units = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]];
  for (const element of root.querySelectorAll("time[datetime]")) {
    const date = new Date(element.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }).format(date);
    if (!("relative" in element.dataset)) {
      element.textContent = full;
      continue;
    }
    element.title = full;
    const seconds = (date.getTime() - now) / 1000;
    const unit = units.find(([, size]) => Math.abs(seconds) >= size);
    if (unit) {
      const format = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
      element.textContent = format.format(Math.trunc(seconds / unit[1]), unit[0]);
    }
  }
}

// A second click does nothing. The button stays in the form's data and in the order
// of the keyboard.
function guard(event) {
  const form = event.target;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "true";
  for (const button of form.querySelectorAll("button")) button.setAttribute("aria-busy", "true");
}

function release() {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("button")) button.removeAttribute("aria-busy");
  }
}

// The portal shows by itself what has changed.
async function follow() {
  let pause = 1000;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (document.hidden) {
      await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
    }
    try {
      const version = document.body.dataset.version;
      const asked = Date.now();
      const answer = await fetch("/portal/changes?version=" + encodeURIComponent(version), { headers: { Accept: "application/json" } });
      if (answer.status === 401) return location.reload();
      if (!answer.ok) throw new Error(String(answer.status));
      const { changed } = await answer.json();
      if (changed) await update();
      // Without a change an answer takes a while, unless too many pages are open.
      pause = changed || Date.now() - asked > 5000 ? 1000 : Math.min(pause * 2, 60000);
    } catch {
      pause = Math.min(pause * 2, 60000);
    }
  }
}

async function update() {
  const answer = await fetch("/portal?live", { headers: { Accept: "text/html" } });
  if (answer.status === 401) return location.reload();
  if (!answer.ok) throw new Error(String(answer.status));
  const next = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = next.getElementById("live");
  const live = document.getElementById("live");
  if (!fresh || next.getElementById("subject")?.textContent !== document.getElementById("subject")?.textContent) return location.reload();
  localise(fresh);
  const focused = live.contains(document.activeElement) ? document.activeElement.id : "";
  const before = live.textContent;
  live.replaceChildren(...fresh.childNodes);
  document.body.dataset.version = next.body.dataset.version;
  if (focused) (document.getElementById(focused) ?? document.getElementById("main")).focus({ preventScroll: true });
  if (live.textContent !== before) {
    const news = document.getElementById("news");
    news.textContent = news.dataset.text;
  }
}

document.addEventListener("submit", guard);
window.addEventListener("pageshow", (event) => {
  release();
  if (event.persisted && document.body.dataset.page === "portal") location.reload();
});
localise(document);
if (document.body.dataset.page === "portal") {
  setInterval(() => localise(document), 30000);
  document.querySelector("#note.note")?.focus({ preventScroll: true });
  follow();
}
