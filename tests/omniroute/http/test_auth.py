"""Signing in, and what guards the management plane, as operators and strangers meet it."""

from typing import Any

import httpx
import pytest
from tests.omniroute.http.conftest import ELSEWHERE, OpenSite, Site

from omniroute.errors import InvalidRequest
from omniroute.http.route_classes import RULES, rule_for
from omniroute.operations.access.sign_in import ensure_password

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse"
HOUR_MS = 3_600_000


async def with_password(site: Site, password: str = PASSWORD) -> None:
    await ensure_password(site.engine, password)


async def signed_in(client: httpx.AsyncClient, password: str = PASSWORD) -> httpx.Response:
    return await client.post("/api/auth/login", json={"password": password})


async def test_onboarding_from_this_machine(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as here, gateway.as_peer(ELSEWHERE) as there:
        before = (await there.get("/api/settings/require-login")).json()
        foreign = await there.put("/api/settings/require-login", json={"password": PASSWORD})
        early = await there.post("/api/auth/login", json={"password": PASSWORD})
        nothing = await here.put("/api/settings/require-login", json={})
        short = await here.put("/api/settings/require-login", json={"password": "abc"})
        done = await here.put("/api/settings/require-login", json={"password": PASSWORD})
        after = (await there.get("/api/settings/require-login")).json()
        closed = await here.get("/api/combos")
        entered = await signed_in(there)
        opened = await there.get("/api/combos")
        log = (await there.get("/api/compliance/audit-log")).json()
    assert (before["hasPassword"], before["setupComplete"], before["requireLogin"]) == (
        False,
        False,
        True,
    )
    assert (after["hasPassword"], after["setupComplete"]) == (True, True)
    assert (foreign.status_code, early.status_code, early.json()["needsSetup"]) == (401, 403, True)
    assert (nothing.status_code, short.status_code, done.json()) == (400, 400, {"success": True})
    assert (closed.status_code, closed.json()["error"]["code"]) == (401, "AUTH_001")
    assert (entered.json(), opened.status_code) == ({"success": True}, 200)
    assert [(row["action"], row["actor"], row["ip"]) for row in log] == [
        ("auth.login.success", "anonymous", "192.0.2.7"),
        ("auth.password.changed", "local", "127.0.0.1"),
        ("auth.login.setup_required", "anonymous", "192.0.2.7"),
    ]


async def test_a_session_lasts_until_the_password_changes(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer(ELSEWHERE) as client:
        await with_password(gateway)
        cookie = (await signed_in(client)).headers["set-cookie"]
        known = (await client.get("/api/auth/status")).json()
        wrong = await client.patch(
            "/api/settings", json={"newPassword": "another one", "currentPassword": "no"}
        )
        bare = await client.patch("/api/settings", json={"newPassword": "another one"})
        changed = await client.patch(
            "/api/settings", json={"newPassword": "another one", "currentPassword": PASSWORD}
        )
        ended = (await client.get("/api/auth/status")).json()
        refused = await client.get("/api/combos")
        again = await signed_in(client, "another one")
        left = await client.post("/api/auth/logout")
    assert cookie.split("; ")[1:] == ["HttpOnly", "SameSite=Lax", "Path=/"]
    assert (known, ended) == ({"authenticated": True}, {"authenticated": False})
    assert (wrong.status_code, bare.status_code, changed.status_code) == (401, 400, 200)
    assert "assword" not in "".join(set(changed.json()) - {"hasPassword"})
    assert (refused.status_code, again.status_code, left.json()) == (401, 200, {"success": True})
    assert "Max-Age=0" in left.headers["set-cookie"]


SECURE = {
    "behind a proxy that speaks HTTPS": ({"x-forwarded-proto": "https, http"}, {}, True),
    "by the operator's word": ({}, {"AUTH_COOKIE_SECURE": "true"}, True),
    "over HTTP": ({"x-forwarded-proto": "http"}, {}, False),
}


@pytest.mark.parametrize(("headers", "environ", "secure"), SECURE.values(), ids=SECURE)
async def test_when_the_cookie_is_for_https_only(
    site: OpenSite, headers: dict[str, str], environ: dict[str, str], secure: bool
) -> None:
    async with site(**environ) as gateway, gateway.as_peer() as client:
        await with_password(gateway)
        entered = await client.post("/api/auth/login", json={"password": PASSWORD}, headers=headers)
    assert ("Secure" in entered.headers["set-cookie"].split("; ")) is secure


async def test_a_cookie_that_somebody_made_up_is_none(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer(ELSEWHERE) as client:
        await with_password(gateway)
        await signed_in(client)
        head, body, sign = client.cookies["auth_token"].split(".")
        made_up = [
            f"{head}.{body}.{sign[:-2]}AA",
            f"eyJhbGciOiJub25lIn0.{body}.",
            "nonsense",
            "a.b.c",
            "",
        ]
        client.cookies.clear()
        found = [
            (await client.get("/api/combos", headers={"cookie": f"auth_token={one}"})).status_code
            for one in made_up
        ]
    assert found == [401] * len(made_up)


async def test_who_guesses_is_locked_out(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer(ELSEWHERE) as guesser, gateway.as_peer() as boss:
        await with_password(gateway)
        guesses = [(await signed_in(guesser, "guess")) for _ in range(5)]
        right = await signed_in(guesser)
        elsewhere = await signed_in(boss)
        locked = (await boss.get("/api/policies")).json()["lockedIdentifiers"]
        unknown = await boss.post("/api/policies", json={"action": "ban", "identifier": "x"})
        blank = await boss.post("/api/policies", json={"action": "unlock", "identifier": " "})
        freed = await boss.post(
            "/api/policies", json={"action": "unlock", "identifier": locked[0]["identifier"]}
        )
        after = await signed_in(guesser)
        log = (await boss.get("/api/compliance/audit-log?action=auth.login")).json()
    assert [one.status_code for one in guesses] == [401, 401, 401, 401, 429]
    assert guesses[0].json() == {"error": "The password is wrong."}
    assert (right.status_code, elsewhere.status_code, after.status_code) == (429, 200, 200)
    assert 890 <= int(right.headers["retry-after"]) <= 900
    assert [one["identifier"] for one in locked] == ["login:192.0.2.7"]
    assert (unknown.status_code, blank.status_code) == (400, 400)
    assert freed.json() == {
        "success": True,
        "action": "unlocked",
        "identifier": "login:192.0.2.7",
    }
    assert [(row["action"], row["status"]) for row in log[:3]] == [
        ("auth.login.success", "success"),
        ("auth.login.success", "success"),
        ("auth.login.locked", "blocked"),
    ]


async def test_the_guard_can_be_switched_off_and_everybody_freed(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        await with_password(gateway)
        await signed_in(client)
        for _ in range(5):
            await signed_in(client, "guess")
        locked = await signed_in(client)
        await client.patch("/api/settings", json={"bruteForceProtection": False})
        off = [(await signed_in(client, "guess")).status_code for _ in range(6)]
        freed = await client.delete("/api/policies")
        none = (await client.get("/api/policies")).json()["lockedIdentifiers"]
    assert (locked.status_code, off) == (429, [401] * 6)
    assert (freed.status_code, none) == (200, [])


async def test_a_page_of_another_site_cannot_use_a_session(site: OpenSite) -> None:
    origins = {
        "http://localhost:20128": 200,
        "https://evil.example": 403,
        "null": 403,
        "http://localhost:20128.evil.example": 403,
        "https://mine.example": 200,
    }
    async with (
        site(CORS_ALLOWED_ORIGINS="https://mine.example") as gateway,
        gateway.as_peer(ELSEWHERE) as client,
    ):
        await with_password(gateway)
        await signed_in(client)
        changes = {
            origin: (
                await client.patch(
                    "/api/settings", json={"a2aEnabled": True}, headers={"origin": origin}
                )
            ).status_code
            for origin in origins
        }
        reads = await client.get("/api/settings", headers={"origin": "https://evil.example"})
        spends = await client.post(
            "/v1/chat/completions",
            json={"model": "demo/echo", "messages": [{"role": "user", "content": "Hi"}]},
            headers={"origin": "https://evil.example"},
        )
    assert changes == origins
    assert reads.status_code == 200  # and without CORS headers no page can see it
    assert "access-control-allow-origin" not in reads.headers
    assert spends.status_code == 403


async def test_a_session_may_use_the_model_apis_where_keys_are_required(site: OpenSite) -> None:
    async with site(REQUIRE_API_KEY="true") as gateway, gateway.as_peer(ELSEWHERE) as client:
        await with_password(gateway)
        before = await client.get("/v1/models")
        await signed_in(client)
        after = await client.get("/v1/models")
    assert (before.status_code, after.status_code) == (401, 200)


async def test_where_nobody_has_to_sign_in(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as here, gateway.as_peer(ELSEWHERE) as there:
        await with_password(gateway)
        await signed_in(here)
        await here.put("/api/settings/require-login", json={"requireLogin": False})
        opened = await there.get("/api/combos")
        protected = {
            (method, path): (await there.request(method, path, content=b"{}")).status_code
            for method, path in PROTECTED
        }
    assert opened.status_code == 200
    assert protected == dict.fromkeys(PROTECTED, 401)


PROTECTED = [
    (method, rule.prefix)
    for rule in RULES
    if rule.tier == "always_protected"
    for method in sorted(rule.methods or {"POST"})
]


async def test_the_command_line_shows_a_token_of_this_machine(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as here, gateway.as_peer(ELSEWHERE) as there:
        await with_password(gateway)
        token = gateway.engine.installation.cli_token("omniroute-cli-auth-v1")
        headers = {"x-omniroute-cli-token": token}
        found = {
            "here": await here.post("/api/combos", json={"name": "a"}, headers=headers),
            "elsewhere": await there.get("/api/combos", headers=headers),
            "through a tunnel": await here.get(
                "/api/combos", headers={**headers, "host": "me.tunnel.example"}
            ),
            "another": await here.get("/api/combos", headers={"x-omniroute-cli-token": "0" * 64}),
            "not ASCII": await here.get(
                "/api/combos", headers=[(b"x-omniroute-cli-token", "\xe9".encode("latin-1"))]
            ),
            "protected": await here.post("/api/shutdown", headers=headers),
        }
        log = await here.get("/api/compliance/audit-log?action=combo", headers=headers)
    assert {name: one.status_code for name, one in found.items()} == {
        "here": 201,
        "elsewhere": 401,
        "through a tunnel": 401,
        "another": 401,
        "not ASCII": 401,
        "protected": 401,
    }
    assert [(row["actor"], row["metadata"]["credential"]) for row in log.json()] == [("cli", "cli")]


async def test_the_token_can_be_switched_off(site: OpenSite) -> None:
    async with site(OMNIROUTE_DISABLE_CLI_TOKEN="true") as gateway, gateway.as_peer() as client:
        await with_password(gateway)
        token = gateway.engine.installation.cli_token("omniroute-cli-auth-v1")
        refused = await client.get("/api/combos", headers={"x-omniroute-cli-token": token})
    assert refused.status_code == 401


async def test_addresses_can_be_refused(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as here, gateway.as_peer(ELSEWHERE) as there:
        url = "/api/settings/ip-filter"
        empty = (await here.get(url)).json()
        open_ = await there.get("/health")
        changed = await here.put(url, json={"enabled": True, "addBlacklist": "192.0.2.*"})
        blocked = {
            path: (await there.get(path)).status_code
            for path in ("/health", "/v1/models", "/a2a", "/api/mcp/status", "/nothing")
        }
        asked = await there.options("/v1/models", headers={"origin": "https://x.example"})
        mine = await here.put(url, json={"blacklist": ["127.0.0.1", "192.0.2.0/24"]})
        still_here = await here.get("/health")
        white = await here.put(url, json={"mode": "whitelist", "whitelist": ["2001:db8:*"]})
        unlisted = await there.get("/health")
        listed = await here.put(url, json={"addWhitelist": "192.0.2.7"})
        let_in = await there.get("/health")
        banned = await here.put(url, json={"tempBan": {"ip": "192.0.2.7", "reason": "noise"}})
        out = await there.get("/health")
        await here.put(url, json={"enabled": False})
        still_out = await there.get("/health")
        await here.put(url, json={"removeBan": "192.0.2.7"})
        back = await there.get("/health")
    assert empty == {
        "enabled": False,
        "mode": "blacklist",
        "blacklist": [],
        "whitelist": [],
        "tempBans": [],
    }
    assert (open_.status_code, changed.json()["blacklist"]) == (200, ["192.0.2.*"])
    assert blocked == dict.fromkeys(blocked, 403)
    assert asked.status_code == 204
    assert (mine.status_code, still_here.status_code) == (200, 200)
    assert (white.status_code, unlisted.status_code) == (200, 403)
    assert (listed.json()["whitelist"], let_in.status_code) == (["2001:db8:*", "192.0.2.7"], 200)
    [ban] = banned.json()["tempBans"]
    assert (ban["ip"], ban["reason"]) == ("192.0.2.7", "noise")
    assert HOUR_MS - 60_000 < ban["remainingMs"] <= HOUR_MS
    assert (out.status_code, still_out.status_code, back.status_code) == (403, 403, 200)


BAD_FILTERS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, ""),
    "an unknown field": ({"enable": True}, "enable"),
    "a name": ({"addBlacklist": "evil.example"}, "addBlacklist"),
    "half an octet": ({"addBlacklist": "10.1*"}, "addBlacklist"),
    "a star in between": ({"whitelist": ["10.*.1.1"]}, "whitelist.0"),
    "too large": ({"blacklist": ["10.0.0.1", "300.0.0.0/8"]}, "blacklist.1"),
    "a network as a ban": ({"tempBan": {"ip": "10.0.0.0/8"}}, "tempBan.ip"),
    "no time": ({"tempBan": {"ip": "10.0.0.1", "durationMs": 0}}, "tempBan.durationMs"),
    "a mode": ({"mode": "greylist"}, "mode"),
}


@pytest.mark.parametrize(("body", "field"), BAD_FILTERS.values(), ids=BAD_FILTERS)
async def test_a_filter_that_cannot_be_is_refused(
    site: OpenSite, body: dict[str, Any], field: str
) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        refused = await client.put("/api/settings/ip-filter", json=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["details"][0]["field"] == field


INITIAL = {"the sample's": "CHANGEME", "too short": "abc"}


@pytest.mark.parametrize("password", INITIAL.values(), ids=INITIAL)
async def test_a_password_everybody_knows_stops_the_start(site: OpenSite, password: str) -> None:
    async with site() as gateway:
        with pytest.raises(InvalidRequest, match="INITIAL_PASSWORD"):
            await ensure_password(gateway.engine, password)


async def test_the_initial_password_counts_once(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as client:
        await with_password(gateway)
        await with_password(gateway, "a later one")
        assert (await signed_in(client)).status_code == 200


async def test_an_imported_bcrypt_hash_still_counts_and_is_replaced(site: OpenSite) -> None:
    import bcrypt

    imported = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    async with site() as gateway, gateway.as_peer() as client:
        async with gateway.engine.database.work() as work:
            await work.access.set_password_hash(imported)
        await gateway.engine.configuration.load()
        wrong = await signed_in(client, "guess")
        right = await signed_in(client)
        status = await client.get("/api/auth/status")
        stored = gateway.engine.snapshot.password_hash
    assert (wrong.status_code, right.status_code) == (401, 200)
    assert status.json() == {"authenticated": True}
    assert stored is not None
    assert stored.startswith("$argon2id$")


def test_only_this_machine_may_look_at_its_tools() -> None:
    assert rule_for("/api/cli-tools/runtime/codex", "GET").tier == "local_only"
    assert rule_for("/api/db-backups", "GET").tier == "normal"


async def test_a_key_can_be_replaced_with_an_overlap(site: OpenSite) -> None:
    async with site() as gateway, gateway.as_peer() as here, gateway.as_peer(ELSEWHERE) as there:
        made = (await here.post("/api/keys", json={"name": "k", "scopes": ["manage"]})).json()
        url = f"/api/keys/{made['id']}"

        async def counts(key: str) -> bool:
            headers = {"authorization": f"Bearer {key}"}
            return (await there.get("/api/combos", headers=headers)).status_code == 200

        second = (await here.post(f"{url}/regenerate", json={"overlapSeconds": 60})).json()["key"]
        both = [await counts(made["key"]), await counts(second)]
        shown = (await here.get(url)).json()
        third = (await here.post(f"{url}/regenerate", json={"overlapSeconds": 60})).json()["key"]
        three = [await counts(made["key"]), await counts(second), await counts(third)]
        fourth = (await here.post(f"{url}/regenerate")).json()["key"]
        only = [await counts(second), await counts(third), await counts(fourth)]
        bad = await here.post(f"{url}/regenerate", json={"overlapSeconds": -1})
        hidden = await here.get(f"{url}/reveal")
    assert both == [True, True]
    assert shown["previousValidUntil"] is not None
    assert three == [False, True, True]
    assert only == [False, False, True]
    assert (bad.status_code, hidden.status_code) == (400, 403)


async def test_keys_can_be_kept_and_revealed(site: OpenSite) -> None:
    async with site(ALLOW_API_KEY_REVEAL="on") as gateway, gateway.as_peer() as client:
        made = (await client.post("/api/keys", json={"name": "k"})).json()
        url = f"/api/keys/{made['id']}"
        first = (await client.get(f"{url}/reveal")).json()
        again = (await client.post(f"{url}/regenerate")).json()
        second = (await client.get(f"{url}/reveal")).json()
        unknown = await client.get("/api/keys/nobody/reveal")
        listed = (await client.get("/api/keys")).json()
        log = (await client.get("/api/compliance/audit-log?action=apiKey")).json()
        async with gateway.engine.database.work() as work:
            await work.keys.seal(made["id"], None)
        lost = await client.get(f"{url}/reveal")
    assert (first["key"], second["key"]) == (made["key"], again["key"])
    assert (unknown.status_code, lost.status_code) == (404, 404)
    assert listed["allowKeyReveal"] is True
    assert [row["action"] for row in log] == [
        "apiKey.revealed",
        "apiKey.regenerated",
        "apiKey.revealed",
        "apiKey.created",
    ]
