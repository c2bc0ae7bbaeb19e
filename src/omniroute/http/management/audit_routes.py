"""The audit log as a route (02 §14.2)."""

from collections.abc import Mapping
from typing import Annotated

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from omniroute.clock import from_iso
from omniroute.errors import ValidationFailed
from omniroute.http.dependencies import Operator, TheEngine
from omniroute.http.problems import get
from omniroute.operations.access import audit
from omniroute.operations.access.audit import AuditQuery, AuditView

Text = Annotated[str | None, QueryParameter()]
OlderType = Annotated[str | None, QueryParameter(name="resource_type")]
NewerType = Annotated[str | None, QueryParameter(name="resourceType")]
OlderId = Annotated[str | None, QueryParameter(name="request_id")]
NewerId = Annotated[str | None, QueryParameter(name="requestId")]
From = Annotated[str | None, QueryParameter(name="from")]
Number = Annotated[int, QueryParameter()]


@get("/api/compliance/audit-log", tags=["Audit"], operation_id="audit_log")
async def get_audit_log(
    engine: TheEngine,
    operator: Operator,
    action: Text = None,
    actor: Text = None,
    target: Text = None,
    status: Text = None,
    resource_type: OlderType = None,
    resource_type_: NewerType = None,
    request_id: OlderId = None,
    request_id_: NewerId = None,
    from_: From = None,
    since: Text = None,
    to: Text = None,
    until: Text = None,
    limit: Number = 50,
    offset: Number = 0,
) -> Response[list[AuditView]]:
    """What was done to the gateway and what was tried, newest first. Texts are parts of what
    they look for, in any case."""
    query = AuditQuery(
        action=action,
        actor=actor,
        target=target,
        status=status,
        resource_type=resource_type or resource_type_,
        request_id=request_id or request_id_,
        since_ms=_moment({"from": from_, "since": since}),
        until_ms=_moment({"to": to, "until": until}),
        limit=limit,
        offset=offset,
    )
    page = await audit.audit_log(engine, operator, query)
    headers = {
        "x-total-count": str(page.total),
        "x-page-limit": str(page.limit),
        "x-page-offset": str(page.offset),
    }
    return Response(page.entries, headers=headers)


def _moment(given: Mapping[str, str | None]) -> int | None:
    """The first time that is given, epoch ms.

    Raises:
        ValidationFailed: it is no ISO-8601 date.
    """
    for name, text in given.items():
        if text:
            try:
                return from_iso(text)
            except (ValueError, OverflowError) as error:
                raise ValidationFailed([(name, "must be an ISO-8601 date")]) from error
    return None


AUDIT: tuple[HTTPRouteHandler, ...] = (get_audit_log,)
"""Every route about the audit log."""
