// A form that goes on by itself; without scripts its button is pressed.
const form = /** @type {HTMLFormElement} */ (document.querySelector("form[data-send]"));
form.submit();
