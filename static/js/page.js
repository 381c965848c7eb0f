/*
 * Small helps for every page; each page also works without them.
 *
 *   <button data-copy>                       copies the nearest document (or data-copy="#id")
 *   <time data-countdown-to="ISO">           counts down; data-countdown-done="text" at the end
 *   <time data-relative datetime="ISO">      “5 min ago”, with the exact moment as its title
 *   <time data-elapsed-since="ISO">          counts up: “1:05”
 *   <progress data-from="ISO" data-to="ISO"> moves by itself
 *   <li class="cw-phase" data-seconds="60">  as wide as it lasts
 *   <form data-confirm="Really?">            asks first (data-confirm-action: the button's words)
 *   <a data-announce>                        says changed text aloud after htmx replaced it
 */
(() => {
  "use strict";
  let skewMs = 0; // the server's clock minus ours

  const now = () => Date.now() + skewMs;
  const twoDigits = (n) => String(n).padStart(2, "0");

  const clock = (seconds) => {
    const s = Math.max(0, Math.floor(seconds));
    const hours = Math.floor(s / 3600);
    const minutes = Math.floor((s % 3600) / 60);
    return hours
      ? `${hours}:${twoDigits(minutes)}:${twoDigits(s % 60)}`
      : `${minutes}:${twoDigits(s % 60)}`;
  };

  const ago = (seconds) => {
    const s = Math.abs(seconds);
    const text =
      s < 5 ? "" :
      s < 60 ? `${Math.floor(s)} s` :
      s < 3600 ? `${Math.floor(s / 60)} min` :
      s < 86400 ? `${Math.floor(s / 3600)} h` :
      s < 86400 * 60 ? `${Math.floor(s / 86400)} d` : null;
    if (text === "") return "just now";
    return text && (seconds < 0 ? `in ${text}` : `${text} ago`);
  };

  const put = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };

  const moments = new Map([
    ["[data-countdown-to]", (element) => {
      const left = Math.ceil((Date.parse(element.dataset.countdownTo) - now()) / 1000);
      if (Number.isNaN(left)) return;
      element.classList.toggle("is-due", left <= 0);
      put(element, left > 0 ? clock(left) : element.dataset.countdownDone || "0:00");
    }],
    ["[data-elapsed-since]", (element) => {
      const passed = (now() - Date.parse(element.dataset.elapsedSince)) / 1000;
      if (!Number.isNaN(passed)) put(element, clock(passed));
    }],
    ["time[data-relative]", (element) => {
      const moment = Date.parse(element.getAttribute("datetime"));
      if (Number.isNaN(moment)) return;
      const text = ago((now() - moment) / 1000);
      if (!element.title) element.title = `${new Date(moment).toISOString().replace("T", " ").slice(0, 19)} UTC`;
      if (text) put(element, text);
    }],
    ["progress[data-from][data-to]", (element) => {
      const from = Date.parse(element.dataset.from);
      const to = Date.parse(element.dataset.to);
      if (to > from) {
        element.max = 1;
        element.value = Math.min(1, Math.max(0, (now() - from) / (to - from)));
      }
    }],
  ]);

  const tick = () => {
    if (document.hidden) return;
    moments.forEach((update, selector) => document.querySelectorAll(selector).forEach(update));
  };

  // Style attributes are barred by the Content-Security-Policy; the object model is not.
  const layOut = (root) => {
    root.querySelectorAll(".cw-phase[data-seconds]").forEach((segment) => {
      const seconds = Number(segment.dataset.seconds);
      if (seconds > 0) segment.style.flexGrow = String(Math.sqrt(seconds));
    });
    // What scrolls sideways must be reached by the keyboard, too.
    root.querySelectorAll(".table-responsive, .cw-document pre, .cw-phases").forEach((box) => {
      if (box.scrollWidth > box.clientWidth && !box.hasAttribute("tabindex")) box.tabIndex = 0;
    });
  };

  const copyText = async (text) => {
    if (navigator.clipboard && window.isSecureContext) {
      await navigator.clipboard.writeText(text);
      return;
    }
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) throw new Error("refused by the browser");
  };

  const announce = (text) => {
    const announcer = document.getElementById("announcer");
    if (announcer) announcer.textContent = text;
  };

  const onCopy = async (button) => {
    const selector = button.dataset.copy;
    const source = selector
      ? document.querySelector(selector)
      : button.closest(".cw-document")?.querySelector("pre");
    if (!source) return;
    const word = button.querySelector("span") || button;
    const before = button.dataset.word || (button.dataset.word = word.textContent);
    try {
      await copyText("value" in source ? source.value : source.textContent);
      word.textContent = "Copied";
      button.classList.add("is-done");
      announce("Copied");
    } catch {
      word.textContent = "Select it and copy by hand";
    }
    setTimeout(() => {
      word.textContent = before;
      button.classList.remove("is-done");
    }, 1800);
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) onCopy(button);
    document.querySelectorAll("details.cw-menu[open]").forEach((menu) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    document.querySelectorAll("details.cw-menu[open]").forEach((menu) => {
      menu.open = false;
      menu.querySelector("summary").focus();
    });
  });

  const ask = (form, submitter) => {
    const dialog = document.createElement("dialog");
    dialog.className = "cw-dialog";
    const title = document.createElement("p");
    title.id = "cw-dialog-question";
    title.textContent = form.dataset.confirm;
    const inner = document.createElement("form");
    inner.method = "dialog";
    inner.className = "cw-dialog-actions";
    const button = (text, value, className) => {
      const made = document.createElement("button");
      Object.assign(made, { textContent: text, value, className });
      inner.append(made);
      return made;
    };
    const no = button("Go back", "no", "btn");
    button(form.dataset.confirmAction || submitter?.textContent.trim() || "Go on", "yes", "btn btn-danger");
    dialog.setAttribute("aria-labelledby", title.id);
    dialog.append(title, inner);
    document.body.append(dialog);
    dialog.addEventListener("close", () => {
      const agreed = dialog.returnValue === "yes";
      dialog.remove();
      if (!agreed) return;
      form.dataset.confirmed = "yes";
      form.requestSubmit(submitter || undefined);
    });
    dialog.showModal();
    no.focus();
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.confirm && form.dataset.confirmed !== "yes") {
      event.preventDefault();
      event.stopImmediatePropagation();
      ask(form, event.submitter);
    }
  }, true);

  // A second press of the same button must not launch, stop or save twice. Disabled only after the
  // browser has read the form, so that the pressed button's own name and value are sent.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || "allowResubmit" in form.dataset) return;
    setTimeout(() => {
      if (event.defaultPrevented) return;
      form.querySelectorAll("button:not([type=button]), input[type=submit]").forEach((button) => {
        if (button.disabled) return;
        button.disabled = true;
        button.dataset.held = "yes";
      });
      event.submitter?.classList.add("is-busy");
    });
  });

  window.addEventListener("pageshow", () => {
    document.querySelectorAll("[data-held]").forEach((button) => {
      button.disabled = false;
      button.classList.remove("is-busy");
      delete button.dataset.held;
    });
    document.querySelectorAll("form[data-confirmed]").forEach((form) => delete form.dataset.confirmed);
    tick();
  });

  // The countdown of a live fault must not depend on the clock of the reader's laptop.
  document.addEventListener("htmx:afterRequest", (event) => {
    const date = Date.parse(event.detail.xhr?.getResponseHeader("Date") || "");
    if (Number.isNaN(date)) return;
    const seen = date - Date.now();
    skewMs = Math.abs(seen) > 3000 ? seen : 0;
  });

  const said = new Map();
  document.addEventListener("htmx:load", (event) => {
    const root = event.detail.elt;
    layOut(root.parentElement || root);
    tick();
    if (!root.matches("[data-announce]")) return;
    const text = root.textContent.trim();
    if (said.has(root.id) && said.get(root.id) !== text) announce(text);
    said.set(root.id, text);
  });

  document.addEventListener("visibilitychange", tick);
  window.addEventListener("resize", () => layOut(document));
  document.addEventListener("toggle", (event) => layOut(event.target), true);
  layOut(document);
  tick();
  setInterval(tick, 1000);
})();
