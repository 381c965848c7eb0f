/*
 * Drafts: what was written and not saved is kept in this browser for a few days, and offered the
 * next time. Nothing is ever restored without being asked for.
 *
 * Each draft has an id of its own, which its page carries in the address (?draft=): several new
 * experiments, or several tabs of one, are several drafts. A tab that finds its draft written by
 * another goes on under a new id, so that neither overwrites the other.
 *
 *   <form id="editor" data-draft-key="7:name">   the person, and the experiment (none: a new one)
 *   <form data-draft-store="7:name">             a page that shows what was not saved; its merged
 *                                                text is a draft of its own (?both=)
 *   <… data-drafts-of="7" data-experiment="name"> a page that was reached by saving
 *   <… data-draft-list="7" data-new data-edit>   a list of the person's drafts; /NAME/ in data-edit
 */
(() => {
  "use strict";
  const PREFIX = "chaosweb-draft:";
  const LEAVING = "chaosweb-leaving";
  const UNTOUCHED = "chaosweb-untouched";
  const KEPT_MS = 3 * 24 * 3600 * 1000;
  const STORE_AFTER_MS = 500;

  // A browser may refuse to store anything: there are no drafts then, and nothing else changes.
  const attempt = (act) => {
    try {
      return act();
    } catch {
      return null;
    }
  };
  const load = (key) => attempt(() => JSON.parse(localStorage.getItem(PREFIX + key)));
  const store = (key, draft) => attempt(() => localStorage.setItem(PREFIX + key, JSON.stringify(draft)));
  const drop = (key) => attempt(() => localStorage.removeItem(PREFIX + key));
  const linesOf = (text) => text.replaceAll("\r\n", "\n");
  const mint = () => [...crypto.getRandomValues(new Uint32Array(2))].map((part) => part.toString(36)).join("");
  const keyOf = (base, id) => `${base}/${id}`;

  /* Every draft whose key begins so, the newest first: {key, id, experiment, draft}. */
  const draftsOf = (start) =>
    (attempt(() => Object.keys(localStorage)) || [])
      .filter((each) => each.startsWith(PREFIX + start))
      .map((each) => {
        const key = each.slice(PREFIX.length);
        const [base, id] = key.split("/");
        return { key, id, experiment: base.slice(base.indexOf(":") + 1), draft: load(key) };
      })
      .filter(({ draft }) => typeof draft?.text === "string")
      .sort((one, other) => other.draft.at - one.draft.at);

  attempt(() =>
    Object.keys(localStorage).filter((key) => key.startsWith(PREFIX)).forEach((key) => {
      const draft = load(key.slice(PREFIX.length));
      if (!key.includes("/") || !(Date.now() - draft?.at < KEPT_MS)) localStorage.removeItem(key);
    }));

  const moment = (at) => {
    const written = new Date(at).toISOString();
    const isToday = written.slice(0, 10) === new Date().toISOString().slice(0, 10);
    return `${isToday ? "" : `${written.slice(0, 10)}, `}${written.slice(11, 16)} UTC`;
  };

  /* What a draft calls itself, as far as a glance at its text tells. */
  const titleOf = ({ draft, experiment }) => {
    const metadata = draft.text.split(/^metadata:/m)[1] || "";
    const field = (name) => {
      const found = metadata.match(new RegExp(`\\b${name}: *(?:"([^"\\n]+)"|'([^'\\n]+)'|([^\\s"'{},#][^,}#\\n]*))`));
      return (found?.[1] || found?.[2] || found?.[3] || "").trim();
    };
    return field("title") || field("name") || experiment || "Untitled";
  };

  const make = (tag, properties = {}, ...inside) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...inside);
    return made;
  };
  const say = (words) => {
    const announcer = document.getElementById("announcer");
    if (announcer) announcer.textContent = words;
  };

  /* A page that was reached by saving: the draft that was saved is done with. */
  if (document.querySelector("[data-drafts-of]") && location.hash.startsWith("#saved")) {
    (attempt(() => sessionStorage.getItem(LEAVING)) || "").split(" ").filter(Boolean).forEach(drop);
    attempt(() => sessionStorage.removeItem(LEAVING));
    history.replaceState(null, "", location.pathname + location.search);
  }

  /* The list of a person's drafts. */
  const list = document.querySelector("[data-draft-list]");
  if (list) {
    const show = () => {
      const found = draftsOf(`${list.dataset.draftList}:`);
      list.hidden = !found.length;
      list.querySelector("ul").replaceChildren(...found.map((each) => {
        const address = each.experiment ? list.dataset.edit.replace("/NAME/", `/${encodeURIComponent(each.experiment)}/`) : list.dataset.new;
        const title = titleOf(each);
        const href = `${address}?resume=${encodeURIComponent(each.id)}`;
        const whose = each.experiment ? `changes to ${each.experiment}` : "new experiment";
        const discard = make("button", { type: "button", className: "btn btn-sm", textContent: "Discard" });
        discard.setAttribute("aria-label", `Discard the draft ${title}`);
        discard.addEventListener("click", () => {
          drop(each.key);
          say(`The draft ${title} is discarded.`);
          show();
          (list.hidden ? document.querySelector("main a, main button") : list.querySelector("a"))?.focus();
        });
        return make("li", {},
          make("div", { className: "cw-grow" },
            make("a", { className: "cw-row-title", href, textContent: title }),
            make("span", { className: "cw-row-note", textContent: `${whose}, written ${moment(each.draft.at)}` })),
          make("a", { className: "btn btn-sm", href, textContent: "Resume" }), discard);
      }));
    };
    show();
    window.addEventListener("storage", show);
  }

  const asked = new URLSearchParams(location.search);
  const idIn = (name) => (/^[a-z0-9]{1,20}$/.test(asked.get(name) || "") ? asked.get(name) : "");

  /* A page that says that somebody else has saved meanwhile. */
  const refused = document.querySelector("form[data-draft-store]");
  if (refused) {
    const { elements } = refused;
    const id = idIn("draft") || mint();
    const key = keyOf(refused.dataset.draftStore, id);
    store(key, {
      text: elements.text.value, view: refused.dataset.view, message: elements.message.value,
      basedOn: refused.dataset.basedOn, at: Date.now(), stamp: mint(),
    });
    // Whichever form is sent, the next page goes on with the same draft.
    asked.set("draft", id);
    history.replaceState(history.state, "", `${location.pathname}?${asked}${location.hash}`);
    const action = new URL(refused.action, location.href);
    action.searchParams.set("draft", id);
    refused.action = action.href;
    refused.addEventListener("submit", () => attempt(() => sessionStorage.setItem(LEAVING, key)));
  }

  const form = document.getElementById("editor");
  const base = form?.dataset.draftKey;
  if (!base) return;
  const area = form.querySelector("textarea[name=text]");
  const isForm = form.dataset.view === "form";
  // Turning to the other view posts the page, too, although nothing was written.
  const wasUntouched = attempt(() => sessionStorage.getItem(UNTOUCHED)) === location.pathname;
  attempt(() => sessionStorage.removeItem(UNTOUCHED));
  const wasChanged = "changed" in form.dataset && !wasUntouched;
  const began = linesOf(area.value);
  let isChanged = wasChanged;
  let isLeaving = false;
  let waiting = 0;
  // The text of two is not the author's own, which stays a draft beside it.
  const parameter = refused ? "both" : "draft";
  let id = idIn(parameter);
  // Who wrote our draft last, as far as we know. One that is only offered is not ours to write.
  let seen = wasChanged && id ? load(keyOf(base, id))?.stamp : undefined;

  // The address names the draft, so that every view and every reload of this page goes on with it.
  const take = (other) => {
    id = other;
    asked.delete("resume");
    asked.set(parameter, id);
    history.replaceState(history.state, "", `${location.pathname}?${asked}${location.hash}`);
  };
  /* Whether an answer of the merge was changed: that is no text to keep, but lost by leaving. */
  const isAnswered = () => [...form.elements].some((each) => each.type === "radio" && each.checked !== each.defaultChecked);

  // The form's own text is asked for, patched as it would be saved.
  let formText;
  let asking;
  const textNow = () => (isForm ? formText : area.value);
  const ask = async () => {
    asking?.abort();
    asking = new AbortController();
    const body = new URLSearchParams(new FormData(form));
    body.set("do", "text");
    try {
      const answer = await fetch(form.getAttribute("hx-post"), { method: "POST", body, signal: asking.signal });
      if (!answer.ok) return;
      formText = await answer.text();
    } catch {
      return; // overtaken by a newer change, or the server is away: the next change asks again
    }
    keep();
  };

  const keep = () => {
    const text = textNow();
    if (!isChanged || text === undefined) return;
    const there = id ? load(keyOf(base, id)) : null;
    const isOurs = !there || there.stamp === seen;
    if (!wasChanged && linesOf(text) === began && !form.elements.message.value) {
      if (id && isOurs) drop(keyOf(base, id));
      isChanged = isForm || Boolean(refused && isAnswered());
      return;
    }
    if (!id || !isOurs) {
      const isElsewhere = Boolean(id && seen);
      take(mint());
      if (isElsewhere) tell("Another tab is writing the same draft. What you write here is kept as one of its own.");
    }
    seen = mint();
    store(keyOf(base, id), {
      text, view: form.dataset.view, message: form.elements.message.value,
      basedOn: form.elements.based_on.value, at: Date.now(), stamp: seen,
    });
  };
  const note = () => {
    isChanged = true;
    clearTimeout(waiting);
    waiting = setTimeout(isForm ? ask : keep, STORE_AFTER_MS);
  };
  const hear = (event) => event.target.id !== "environment" && note();
  form.addEventListener("input", hear);
  form.addEventListener("change", hear);
  form.addEventListener("cw:changed", note);
  form.addEventListener("cw:refresh", () => isForm && note());
  form.addEventListener("submit", (event) => {
    keep();
    if (!isChanged && /^(view:|check$|reach$)/.test(event.submitter?.value || "")) {
      attempt(() => sessionStorage.setItem(UNTOUCHED, location.pathname));
    }
    const left = [id, refused && asked.get("draft")].filter(Boolean).map((each) => keyOf(base, each));
    if (left.length) attempt(() => sessionStorage.setItem(LEAVING, left.join(" ")));
    else attempt(() => sessionStorage.removeItem(LEAVING));
    if (refused) form.action = `${location.pathname}?${asked}#merged`;
    isLeaving = true;
  });
  window.addEventListener("pageshow", () => (isLeaving = false));
  window.addEventListener("beforeunload", (event) => {
    if (isChanged && !isLeaving) event.preventDefault();
  });

  const boxOf = (...inside) => {
    const box = make("div", { className: "cw-alert is-blue cw-draft" }, ...inside);
    box.setAttribute("role", "status");
    form.before(box);
    return box;
  };
  const tell = (words) => boxOf(make("div", { textContent: words }));

  const restore = (other, draft) => {
    const sent = make("form", { method: "post", hidden: true });
    const values = {
      csrfmiddlewaretoken: form.elements.csrfmiddlewaretoken.value, view: "yaml", text: draft.text,
      message: draft.message || "", based_on: draft.basedOn || "", environment: form.elements.environment.value,
      do: `view:${draft.view === "form" ? "form" : "yaml"}`,
    };
    Object.entries(values).forEach(([name, value]) => sent.append(make("textarea", { name, value })));
    document.body.append(sent);
    keep(); // what was written meanwhile is a draft, too
    take(other);
    isLeaving = true;
    sent.submit();
  };

  /* The offers: of this page's own draft, and of all others of the same experiment. */
  const offer = (each) => {
    const { draft, key, experiment } = each;
    const text = make("div", {}, make("strong", { textContent: `You have an unsaved draft from ${moment(draft.at)}.` }));
    if (!experiment) text.append(` It is called “${titleOf(each)}”.`);
    if (draft.basedOn && draft.basedOn !== form.elements.based_on.value) {
      text.append(` It began from version ${draft.basedOn}; a newer one has been saved since.`);
    }
    const button = (label, act) => {
      const made = make("button", { type: "button", className: "btn btn-sm", textContent: label });
      made.addEventListener("click", act);
      return made;
    };
    const box = boxOf(text,
      button("Restore", () => restore(each.id, draft)),
      button("Discard", () => {
        drop(key);
        box.remove();
        say("The draft is discarded.");
      }));
  };

  if (isChanged) (isForm ? ask : keep)();
  else if (!refused) {
    const resumed = idIn("resume");
    const drafts = draftsOf(`${base}/`);
    const wanted = drafts.find((each) => each.id === resumed);
    if (wanted) restore(wanted.id, wanted.draft);
    else {
      if (resumed) tell("That draft is gone: it was saved or discarded meanwhile.");
      drafts.forEach((each) => {
        if (linesOf(each.draft.text) === began) drop(each.key);
        else offer(each);
      });
    }
  }
})();
