"use strict";
const EVERY_MS = 5000;
const at = (id) => document.getElementById(id);
const read = async (path) => {
  const answer = await fetch(path);
  if (answer.status === 401 || answer.status === 403) location.assign("/login");
  return answer.json();
};

// Names come from outside, so text is only ever set as text.
function row(cells) {
  const line = document.createElement("tr");
  for (const [text, style] of cells) {
    const cell = line.insertCell();
    cell.textContent = text ?? "";
    if (style) cell.className = style;
  }
  return line;
}

const usd = (value) => (value === null ? "?" : value.toFixed(value < 0.01 ? 6 : 2));
const many = (value) => value.toLocaleString("en");

async function show() {
  const [health, usage, calls, accounts, rules] = await Promise.all([
    read("/api/monitoring/health"),
    read("/api/usage/history"),
    read("/api/usage/call-logs?limit=20"),
    read("/api/providers?limit=100"),
    read("/api/settings/require-login"),
  ]);
  at("version").textContent = health.version;
  at("status").textContent = health.status;
  at("status").className = health.status === "healthy" ? "good" : "bad";
  at("requests").textContent = many(usage.totalRequests);
  at("cost").textContent = usd(usage.totalCost);
  at("tokens").textContent = many(usage.totalPromptTokens + usage.totalCompletionTokens);
  at("running").textContent = many(health.ledger.openReservations);
  at("protect").hidden = rules.hasPassword;
  at("leave").hidden = !rules.hasPassword;
  at("accounts").tBodies[0].replaceChildren(
    ...accounts.connections.map((one) => {
      const bad = ["error", "unavailable", "invalid", "failed", "expired", "banned", "credits_exhausted"];
      const state = one.isActive ? one.testStatus : "switched off";
      return row([[one.provider], [one.name], [state, bad.includes(state) ? "bad" : ""], [one.priority, "n"]]);
    }),
  );
  at("calls").tBodies[0].replaceChildren(
    ...calls.map((one) => {
      const good = one.outcome === "completed";
      const by = one.model ? `${one.provider}/${one.model}` : "";
      return row([
        [new Date(one.timestamp).toLocaleTimeString()],
        [one.requestedModel],
        [by],
        [good ? "completed" : `${one.outcome}: ${one.error ?? ""}`, good ? "good" : "bad"],
        [many(one.tokens.in + one.tokens.out), "n"],
        [many(one.duration), "n"],
        [usd(one.cost), "n"],
      ]);
    }),
  );
}

at("leave").addEventListener("click", async () => {
  await fetch("/api/auth/logout", { method: "POST" });
  location.assign("/login");
});

function again() {
  const next = document.hidden ? Promise.resolve() : show().catch(() => {
    at("status").textContent = "not reachable";
    at("status").className = "bad";
  });
  next.then(() => setTimeout(again, EVERY_MS));
}
again();
