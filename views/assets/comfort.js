// Comfort only: every page works without it. Adds a button to each password field that shows what was typed. The words come with the script's element.
const { show = "", hide = "", label = "" } = document.currentScript?.dataset ?? {};
for (const input of document.querySelectorAll(/** @type {"input"} */ ('input[type="password"]'))) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "reveal";
  button.textContent = show;
  button.setAttribute("aria-controls", input.id);
  button.setAttribute("aria-pressed", "false");
  button.setAttribute("aria-label", label);
  button.addEventListener("click", () => {
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    button.textContent = shown ? hide : show;
    button.setAttribute("aria-pressed", String(shown));
    input.focus();
  });
  // What is sent is a password again, so that the browser offers to keep it and never remembers it as text.
  input.form?.addEventListener("submit", () => {
    input.type = "password";
  });
  input.parentElement?.append(button);
}
