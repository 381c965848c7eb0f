/*
 * Says so when a page that should move by itself stands still: a stale page must never look live.
 *
 *   <div id="run-stale" hidden> … <span data-why> … <time data-since>
 */
(() => {
  "use strict";
  const POLLS = "#run-poll, #overview-live";
  let answeredAt = new Date();

  const tell = (why) => {
    const box = document.getElementById("run-stale");
    if (!box) return;
    box.hidden = !why;
    if (!why) {
      answeredAt = new Date();
      return;
    }
    box.querySelector("[data-why]").textContent = why;
    box.querySelector("[data-since]").textContent = `at ${answeredAt.toISOString().slice(11, 19)} UTC`;
  };

  document.addEventListener("htmx:afterRequest", (event) => {
    if (!event.detail.elt?.matches?.(POLLS)) return;
    const xhr = event.detail.xhr;
    if (!xhr || !xhr.status) tell("The server does not answer.");
    else if (xhr.status >= 500) tell(`The server answers ${xhr.status}.`);
    else if (xhr.status >= 400) tell(`The server refuses (${xhr.status}).`);
    else if (xhr.status === 200 && !xhr.getResponseHeader("ETag")) tell("You are signed out: sign in again.");
    else tell("");
  });
})();
