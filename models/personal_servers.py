"""Personal MCP servers in conversations: attached by their owner, for their own questions or for everybody's."""

from typing import NamedTuple

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import AccessError, ValidationError
from odoo.fields import Command
from odoo.tools import SQL

IN_CHANNEL = ("user_mcp_server_ids", "shared_mcp_server_ids")
ON_SERVER = ("channel_ids", "shared_channel_ids")


class Attachment(NamedTuple):
    """A server in a conversation; one that is shared is there twice, also as attached."""

    server_id: int
    channel_id: int
    is_share: bool


class McpServer(models.Model):
    _inherit = "mcp.server"

    channel_ids = fields.Many2many(
        "discuss.channel", "discuss_channel_mcp_server_rel", "server_id", "channel_id", "Used In", copy=False,
        domain="[('is_member', '=', True)]", context={"active_test": False},
        help="The conversations in which assistants can use these tools for what you ask there.",
    )
    shared_channel_ids = fields.Many2many(
        "discuss.channel", "discuss_channel_shared_mcp_server_rel", "server_id", "channel_id", "Shared With",
        copy=False, domain="[('id', 'in', channel_ids)]", context={"active_test": False},
        help="Those of them in which assistants can use these tools for what anybody asks, as you and with the "
        "credentials that you stored.",
    )

    @api.onchange("channel_ids")
    def _onchange_channel_ids(self):
        self.shared_channel_ids &= self.channel_ids

    @api.onchange("shared_channel_ids")
    def _onchange_shared_channel_ids(self):
        added = self.shared_channel_ids._origin - self._origin.shared_channel_ids
        if not added:
            return None
        return {"warning": {
            "title": self.env._("Saving shares these tools"),
            "message": self.env._(
                "Everyone in %(conversations)s will be able to use them as you.",
                conversations=", ".join(added.mapped("display_name")),
            ),
        }}

    @api.model_create_multi
    def create(self, vals_list):
        servers = super().create(vals_list)
        servers._settle_attachments(set(), _attachments(servers))
        return servers

    def write(self, vals):
        before, owners = _attachments(self), {server: server.user_id for server in self}
        result = super().write(vals)
        self._settle_attachments(before, _attachments(self))
        self.filtered(lambda server: not server.active or server.user_id != owners[server])._detach()
        return result

    def _detach(self):
        """Withdraw these servers from every conversation."""
        if _attachments(self):
            # as the superuser: detaching is the owner's, who need not be the one who causes it
            self.with_user(SUPERUSER_ID).channel_ids = [Command.clear()]

    @api.model
    def _settle_attachments(self, before, after):
        """Only owners attach, share and detach, where they are members; a share ends with its attachment."""
        for attachment in before ^ after:
            if self.env.uid not in (SUPERUSER_ID, self._attached(attachment).user_id.id):
                raise AccessError(self.env._("Only the owner of a personal server attaches, shares or detaches it."))
        attached = {(server_id, channel_id) for server_id, channel_id, is_share in after if not is_share}
        for attachment in after - before:
            channel = self.env["discuss.channel"].browse(attachment.channel_id)
            if not channel._ai_is_attachable(self._attached(attachment)):
                raise ValidationError(self.env._("Only personal servers of members can be attached to a conversation."))
            if attachment[:2] not in attached:
                raise ValidationError(self.env._("Attach the server to the conversation before you share it there."))
        for attachment in after:
            if attachment.is_share and attachment[:2] not in attached:
                self._attached(attachment).shared_channel_ids = [Command.unlink(attachment.channel_id)]

    def _attached(self, attachment):
        # sudo: mcp.server - of whom it is; what may be done to it is decided by that
        return self.sudo().browse(attachment.server_id)


class DiscussChannel(models.Model):
    _inherit = "discuss.channel"

    user_mcp_server_ids = fields.Many2many(
        "mcp.server", "discuss_channel_mcp_server_rel", "channel_id", "server_id", "Personal MCP Servers", copy=False,
        domain="[('scope', '=', 'user'), ('user_id', '=', uid)]",
        help="Personal servers that you attached: assistants can use their tools for what you ask here.",
    )
    shared_mcp_server_ids = fields.Many2many(
        "mcp.server", "discuss_channel_shared_mcp_server_rel", "channel_id", "server_id", "Shared MCP Servers",
        copy=False, domain="[('id', 'in', user_mcp_server_ids)]",
        help="Those of them whose tools assistants can use for what anybody asks here, as you and with the credentials "
        "that you stored.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        channels = super().create(vals_list)
        self.env["mcp.server"]._settle_attachments(set(), _attachments(channels))
        return channels

    def write(self, vals):
        if set(IN_CHANNEL).isdisjoint(vals):
            return super().write(vals)
        self.invalidate_recordset(IN_CHANNEL)  # what a sudo has put into the cache is not this person's to replace
        before = _attachments(self)
        result = super().write(vals)
        self.env["mcp.server"]._settle_attachments(before, _attachments(self))
        return result

    def ai_attach_server(self, server_id, share=False):
        """Attach a personal server of the caller: for their own questions, or with `share` for everybody's here."""
        self.ensure_one()
        self.env["mcp.server"].browse(server_id).write({
            "channel_ids": [Command.link(self.id)],
            "shared_channel_ids": [Command.link(self.id) if share else Command.unlink(self.id)],
        })
        return self.ai_servers()

    def ai_detach_server(self, server_id):
        """Detach a personal server of the caller; it is no longer shared here, either."""
        self.ensure_one()
        self.env["mcp.server"].browse(server_id).write({"channel_ids": [Command.unlink(self.id)]})
        return self.ai_servers()

    @api.readonly
    def ai_servers(self):
        """The personal servers whose tools serve the caller here."""
        self.ensure_one()  # a seat in one conversation says nothing of others
        self.check_access("read")
        shared = self._ai_servers_in("shared_channel_ids")
        return [
            {
                "id": server.id,
                "name": server.name,
                "owner": server.user_id.name,
                "mine": server.user_id == self.env.user,
                "shared": server in shared,
            }
            for server in self._ai_servers_for(self.env.user)
        ]

    def _ai_servers_for(self, user):
        """The attached servers that serve `user`: their own, and what other members share with everybody here."""
        attached = self._ai_attached_servers()
        here = self._ai_colleagues(attached.user_id | user) if attached else attached.user_id
        if user not in here:
            return attached.browse()
        shared = self._ai_servers_in("shared_channel_ids")
        return attached.filtered(
            lambda server: server.scope == "user"
            and server.user_id in here
            and (server.user_id == user or server in shared)
        )

    def _ai_attached_servers(self):
        """Everybody's attached servers, with sudo."""
        return self._ai_servers_in("channel_ids")

    def _ai_servers_in(self, field):
        """The servers that have this conversation in `field`, with sudo. Searched: the cache has what its reader may
        see."""
        # sudo: mcp.server - servers of other people are invisible to this one
        return self.env["mcp.server"].sudo().search([(field, "in", self.ids)])

    def _ai_is_attachable(self, server):
        return server.scope == "user" and server.user_id in self._ai_colleagues(server.user_id)

    def _ai_colleagues(self, users):
        """Those of `users` who work here and are members."""
        # sudo: discuss.channel.member, res.users - only whether these people are; there may be many other members
        members, users = self.env["discuss.channel.member"].sudo(), users.sudo()
        partners = members.search([
            ("channel_id", "in", self.ids), ("partner_id", "in", users.partner_id.ids),
        ]).partner_id
        return users.filtered(lambda user: user.active and user._is_internal() and user.partner_id in partners)

    def _ai_forget(self, partner):
        super()._ai_forget(partner)
        brought = self._ai_attached_servers().filtered(lambda server: server.user_id.partner_id == partner)
        # as the superuser: detaching is the owner's, and leaving is how this owner does it
        brought.with_user(SUPERUSER_ID).write({"channel_ids": [Command.unlink(channel.id) for channel in self]})


class ResUsers(models.Model):
    _inherit = "res.users"

    def write(self, vals):
        result = super().write(vals)
        if "active" in vals and not vals["active"]:
            # sudo: mcp.server - whoever may archive a person withdraws what that person had attached
            self.env["mcp.server"].sudo().search([("user_id", "in", self.ids)])._detach()
        return result


def _attachments(records):
    """Every attachment of these servers or conversations, as stored: fields show only what their reader may see."""
    column = SQL.identifier("server_id" if records._name == "mcp.server" else "channel_id")
    return {
        Attachment(*row)
        for row in records.env.execute_query(SQL(
            """
            SELECT server_id, channel_id, false FROM discuss_channel_mcp_server_rel WHERE %(column)s = ANY(%(ids)s)
             UNION
            SELECT server_id, channel_id, true FROM discuss_channel_shared_mcp_server_rel
             WHERE %(column)s = ANY(%(ids)s)
            """,
            column=column, ids=records.ids,
        ))
    }
