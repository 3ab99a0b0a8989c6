// Comfort only: gives each field and each block that is there to be copied a button that does so. The words come with it.
for (const source of document.querySelectorAll(/** @type {"input"} */ ("[data-copy]"))) {
  const { copy = "", copied = "" } = source.dataset;
  const isField = source.matches("input");
  const label = (isField ? source.labels?.[0]?.textContent : source.getAttribute("aria-label")) ?? "";
  const button = document.createElement("button");
  button.type = "button";
  button.className = isField ? "reveal" : "copy";
  const named = document.createElement("span");
  named.className = "visually-hidden";
  named.textContent = ` (${label.trim()})`;
  const word = document.createElement("span");
  word.textContent = copy;
  word.setAttribute("aria-live", "polite");
  button.append(word, named);
  button.addEventListener("click", async () => {
    if (isField) source.select();
    else getSelection()?.selectAllChildren(source);
    // Where a browser gives no clipboard, what is selected can be copied by hand.
    await navigator.clipboard?.writeText(isField ? source.value : (source.textContent ?? "")).then(
      () => {
        word.textContent = copied;
      },
      () => {},
    );
  });
  source.parentElement?.append(button);
}
