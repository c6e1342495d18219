"use strict";
// What all parts of the page share. Text from files is only ever set as text, never as markup.

const byId = (id) => document.getElementById(id);
const content = (id) => JSON.parse(byId(id).textContent);
const NS = "http://www.w3.org/2000/svg";

function make(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name === "data") Object.assign(made.dataset, value);
    else if (name in made && name !== "role") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function drawn(tag, given = {}, ...children) {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(given)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// What happened, for eyes and for a screen reader.
function tell(words) {
  const place = byId("told");
  place.textContent = words;
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => {
    place.textContent = "";
  }, 4000);
}

async function copy(words, what) {
  try {
    await navigator.clipboard.writeText(words);
  } catch {
    // Without a secure context, as of a file that was opened from a disk.
    const box = make("textarea", { value: words });
    document.body.append(box);
    box.select();
    document.execCommand("copy");
    box.remove();
  }
  tell(`${what} copied`);
}

function save(words, name, kind) {
  const link = make("a", { href: URL.createObjectURL(new Blob([words], { type: kind })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// Where the page is: the case and map in view, in its address.
const address = {
  read: () => Object.fromEntries(new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "")),
  write(changes) {
    const now = new URLSearchParams({ ...this.read(), ...changes });
    history.replaceState(null, "", `#${now}`);
  },
  link: () => location.href,
};
