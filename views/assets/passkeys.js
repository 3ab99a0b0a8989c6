/**
 * Forms with `data-passkey`: where the browser has WebAuthn they are shown; pressing their button asks this server for options
 * (`data-options`), the browser for a passkey, and posts what it says as the field `credential`, as any form is posted. On a sign-in page the
 * browser also offers passkeys where the address is typed: that waits in the background, takes no focus, and nothing is missing without it.
 */

/** @type {typeof import("@simplewebauthn/browser")} */
const webauthn = /** @type {any} */ (globalThis).SimpleWebAuthnBrowser;

/** Milliseconds after which the offer is made anew: less than the five minutes that a challenge lives. */
const RENEW_OFFER = 4 * 60 * 1000;

/** @param {HTMLFormElement} form */
function enhance(form) {
  const adds = form.dataset.passkey === "add";
  let busy = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let renewal;

  /** What the server asks of the browser; undefined when it asks for something else first. */
  async function fetchOptions() {
    const body = new URLSearchParams(/** @type {any} */ (new FormData(form)));
    const headers = { Accept: "application/json" };
    const answer = await fetch(form.dataset.options ?? "", { method: "POST", body, headers, redirect: "manual" });
    return answer.ok ? answer.json() : undefined;
  }

  /** @param {object} credential */
  function send(credential) {
    const { credential: field, keep } = /** @type {Record<string, HTMLInputElement>} */ (/** @type {unknown} */ (form.elements));
    if (field) field.value = JSON.stringify(credential);
    const wanted = /** @type {HTMLInputElement | null} */ (document.querySelector('input[type="checkbox"][name="keep"]'));
    if (keep) keep.value = wanted?.checked ? wanted.value : "";
    form.submit();
  }

  /** Puts what went wrong above the button, where it is read out. @param {"failed" | "known" | undefined} problem */
  function say(problem) {
    form.querySelector("[role=alert]")?.remove();
    const template = /** @type {HTMLTemplateElement | null} */ (form.querySelector(`template[data-problem="${problem}"]`));
    template?.before(template.content.cloneNode(true));
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    say(undefined);
    try {
      const optionsJSON = await fetchOptions();
      // The sign-in has ended, or was too long ago: the page itself says so, or leads to where it is done again.
      if (optionsJSON === undefined) return location.assign(location.pathname);
      send(await (adds ? webauthn.startRegistration({ optionsJSON }) : webauthn.startAuthentication({ optionsJSON })));
    } catch (error) {
      const { name, code } = /** @type {Error & { code?: string }} */ (error);
      const isKnown = adds && (name === "InvalidStateError" || code === "ERROR_AUTHENTICATOR_PREVIOUSLY_REGISTERED");
      say(isKnown ? "known" : "failed");
      busy = false;
      offer();
    }
  });

  /** Offers passkeys among what the browser fills in. */
  async function offer() {
    if (form.dataset.passkey !== "sign-in" || !(await webauthn.browserSupportsWebAuthnAutofill())) return;
    clearTimeout(renewal);
    renewal = setTimeout(() => busy || offer(), RENEW_OFFER);
    try {
      const optionsJSON = await fetchOptions();
      if (optionsJSON === undefined || busy) return;
      const credential = await webauthn.startAuthentication({ optionsJSON, useBrowserAutofill: true });
      busy = true;
      send(credential);
    } catch {
      // Another request took its place, or nobody chose one. The button is still there.
    }
  }

  form.hidden = false;
  offer();
  // Who comes back to a page that the browser has kept finds its request ended.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    busy = false;
    offer();
  });
}

if (webauthn.browserSupportsWebAuthn()) {
  for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll("form[data-passkey]"))) enhance(form);
  for (const element of document.querySelectorAll("[data-without-passkeys]")) element.remove();
}
