"use strict";
const alertBox = document.querySelector("[role=alert]");
const field = (id) => document.getElementById(id);

async function send(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (answer.ok) return true;
  const told = (await answer.json()).error;
  const details = told.details?.map((one) => one.message).join("; ");
  alertBox.textContent = details || told.message || told;
  return false;
}

field("login")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  alertBox.textContent = "";
  if (await send("POST", "/api/auth/login", { password: field("password").value })) {
    location.assign("/dashboard");
  }
});

field("onboarding")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const password = field("password").value;
  alertBox.textContent = password === field("again").value ? "" : "The two are not the same.";
  if (alertBox.textContent) return;
  if (!(await send("PUT", "/api/settings/require-login", { password }))) return;
  if (await send("POST", "/api/auth/login", { password })) location.assign("/dashboard");
});

if (field("setup")) {
  fetch("/api/settings/require-login")
    .then((answer) => answer.json())
    .then((rules) => { field("setup").hidden = rules.hasPassword; });
}
