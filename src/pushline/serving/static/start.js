const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();
// What Swagger UI leaves without a name for a screen reader, with another than it shows, or out of a keyboard's reach.
const named = { "#servers": "Server", ".content-type": "Media type", ".examples-select-element": "Example", ".body-param__text": "Body",
  ".close-modal": "Close", ".modal-btn.authorize": "Authorize", ".modal-btn.auth[aria-label*=Remove]": "Logout" };
const name = () => {
  for (const [which, label] of Object.entries(named))
    document.querySelectorAll(which).forEach((one) => one.ariaLabel !== label && (one.ariaLabel = label));
  document.querySelectorAll("pre.curl").forEach((one) => { one.tabIndex = 0; });
};
new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: false, // its links lie within buttons
  validatorUrl: null,
  persistAuthorization: false,
  tryItOutEnabled: false,
  presets: [SwaggerUIBundle.presets.apis],
});
