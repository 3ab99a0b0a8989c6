// Comfort only: gives each field and each block that is there to be copied a button that does so. The words come with it.
for (const source of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-copy]"))) {
  const { copy = "", copied = "" } = source.dataset;
  const field = source instanceof HTMLInputElement ? source : undefined;
  const label = (field === undefined ? source.getAttribute("aria-label") : field.labels?.[0]?.textContent) ?? "";
  const button = document.createElement("button");
  button.type = "button";
  button.className = field === undefined ? "copy" : "reveal";
  const named = document.createElement("span");
  named.className = "visually-hidden";
  named.textContent = ` (${label.trim()})`;
  const word = document.createElement("span");
  word.textContent = copy;
  word.setAttribute("aria-live", "polite");
  button.append(word, named);
  button.addEventListener("click", async () => {
    if (field === undefined) getSelection()?.selectAllChildren(source);
    else field.select();
    // Where a browser gives no clipboard, what is selected can be copied by hand.
    await navigator.clipboard?.writeText(field?.value ?? source.textContent ?? "").then(
      () => {
        word.textContent = copied;
      },
      () => {},
    );
  });
  source.parentElement?.append(button);
}
