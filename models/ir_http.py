"""Requests to `/api/ai/`: who is asking, and whether a page of another site is behind it.

Not what they may do: that is decided by the records they ask for. How a refusal looks is the dispatcher's matter.
"""

import re
from urllib.parse import urlsplit

from odoo import models
from odoo.http import SAFE_HTTP_METHODS, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from ..runtime import host

BEARER = re.compile(r"bearer(?:\s+(.*))?", re.IGNORECASE)
# What a browser says of requests by a page of ours, and by a person who types the address.
TRUSTED_FETCH_SITES = ("same-origin", "none")
# A form always names its type and cannot name this one; a request by script without a type carries an Origin.
UNFORGEABLE_TYPES = ("application/json", "")


class CrossSiteRequest(Forbidden):
    """A session cookie came with a request that a page of another site may have made."""

    description = (
        "A request with a session cookie must come from a page of this server, and a POST must have"
        " the Content-Type application/json. Elsewhere, use an API key: 'Authorization: Bearer <key>'."
    )


class IrHttp(models.AbstractModel):
    _inherit = "ir.http"

    @classmethod
    def _authenticate(cls, endpoint):
        host.ensure(request.env.cr.dbname)
        super()._authenticate(endpoint)

    @classmethod
    def _auth_method_ai(cls):
        """An Odoo API key, or else the session of a page of ours. Unlike `bearer`, it lets scripts of a page in."""
        key = _bearer_key(request.httprequest)
        if key is None:
            cls._auth_method_user()
            _refuse_cross_site(request.httprequest)
        else:
            cls._ai_authenticate_key(key)

    @classmethod
    def _ai_authenticate_key(cls, key):
        request.session.can_save = False  # a key opens no session and changes none
        uid = request.env["res.users.apikeys"]._check_credentials(scope="rpc", key=key) if key else None
        if not uid:
            raise Unauthorized("The API key is not valid.", www_authenticate=WWWAuthenticate("bearer"))
        request.update_env(user=uid, context={})  # nothing of a session that came along
        request.update_env(context=dict(request.env["res.users"].context_get()))
        cls._auth_method_user()


def _bearer_key(httprequest) -> str | None:
    """The API key of a request: None where it has none, empty where it only says that it would have one."""
    match = BEARER.fullmatch(httprequest.headers.get("Authorization", "").strip())
    return (match[1] or "").strip() if match else None


def _refuse_cross_site(httprequest):
    if not _is_from_own_page(httprequest):
        raise CrossSiteRequest
    if httprequest.method not in SAFE_HTTP_METHODS and httprequest.mimetype not in UNFORGEABLE_TYPES:
        raise CrossSiteRequest


def _is_from_own_page(httprequest) -> bool:
    """Browsers say where a request comes from; over plain HTTP only older headers tell. Who says nothing is none."""
    if fetch_site := httprequest.headers.get("Sec-Fetch-Site"):
        return fetch_site in TRUSTED_FETCH_SITES
    source = httprequest.headers.get("Origin") or httprequest.headers.get("Referer")
    # The scheme is not compared: behind a proxy that ends TLS we may not know our own.
    return not source or urlsplit(source).netloc.lower() == httprequest.host.lower()
