// Comfort only: gives each field that is there to be copied a button that does so. The words come with the field.
for (const input of document.querySelectorAll(/** @type {"input"} */ ("input[data-copy]"))) {
  const { copy = "", copied = "" } = input.dataset;
  const label = input.labels?.[0]?.textContent?.trim() ?? "";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "reveal";
  const named = document.createElement("span");
  named.className = "visually-hidden";
  named.textContent = ` (${label})`;
  const word = document.createElement("span");
  word.textContent = copy;
  word.setAttribute("aria-live", "polite");
  button.append(word, named);
  button.addEventListener("click", async () => {
    input.select();
    // Where a browser gives no clipboard, what is selected can be copied by hand.
    await navigator.clipboard?.writeText(input.value).then(
      () => {
        word.textContent = copied;
      },
      () => {},
    );
  });
  input.parentElement?.append(button);
}
