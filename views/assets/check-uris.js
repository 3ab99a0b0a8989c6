// Comfort only: says what the server will say of an address as soon as somebody has typed it. The rules and the words are the server's.
const ENDPOINT = "/apps/check-uris";

/** @typedef {{ uri: string, fault?: string, note?: string }} CheckedUri */

/** @param {HTMLInputElement | HTMLTextAreaElement} field */
function watch(field) {
  const list = document.getElementById(`${field.id}-lines`) ?? document.createElement("ul");
  if (!list.isConnected) {
    list.id = `${field.id}-lines`;
    list.className = "lines";
    list.setAttribute("aria-live", "polite");
    field.closest(".field")?.append(list);
    field.setAttribute("aria-describedby", [field.getAttribute("aria-describedby"), list.id].filter(Boolean).join(" "));
  }
  let asked = 0;

  field.addEventListener("change", async () => {
    const turn = ++asked;
    const uris = await check(field).catch(() => undefined);
    // Without an answer nothing is said: the form is checked when it is sent.
    if (uris === undefined || turn !== asked) return;
    list.replaceChildren(...uris.filter(({ fault, note }) => fault || note).map(line));
    const wrong = uris.some(({ fault }) => fault !== undefined);
    field.closest(".field")?.classList.toggle("field-wrong", wrong);
    if (wrong) field.setAttribute("aria-invalid", "true");
    else {
      field.removeAttribute("aria-invalid");
      document.getElementById(`${field.id}-error`)?.remove();
    }
  });
}

/** @param {CheckedUri} checked */
function line({ uri, fault, note }) {
  const item = document.createElement("li");
  item.className = fault ? "error" : "hint";
  const code = document.createElement("code");
  code.textContent = uri;
  item.append(code, ` ${fault ?? note}`);
  return item;
}

/**
 * @param {HTMLInputElement | HTMLTextAreaElement} field
 * @returns {Promise<CheckedUri[]>}
 */
async function check(field) {
  const body = new URLSearchParams();
  // The token against forgery and the language of the page.
  for (const { name, value } of field.form?.querySelectorAll(/** @type {"input"} */ ('input[type="hidden"]')) ?? []) body.set(name, value);
  body.set("kind", field.dataset.check ?? "");
  body.set("uris", field.value);
  const answer = await fetch(ENDPOINT, { method: "POST", body, headers: { Accept: "application/json" }, redirect: "error" });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.json();
}

for (const field of document.querySelectorAll(/** @type {"input"} */ ("[data-check]"))) watch(field);
