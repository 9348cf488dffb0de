"""A budget: how much assistants may do for people, in a reply, in a time, and at once. The strictest that applies
holds.

What a reply has consumed is on its run (`ai_run_usage`), and counts in the period in which it was asked for. Here is
who has a budget, what of it is used up, and how to say so; what that means for a run is in `ai_run_budget`.
"""

import math
from collections import defaultdict
from datetime import timedelta
from typing import NamedTuple

import pytz
from dateutil.relativedelta import relativedelta
from odoo import api, fields, models, tools
from odoo.addons.base.models.res_partner import _tz_get
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL, date_utils, format_datetime, formatLang, frozendict

from ..services.errors import BudgetSpent
from ..services.states import RunState

RETRY_BUSY_AFTER_S = 5  # nobody knows how long the replies take that are being made
AUDIENCE_FIELDS = frozenset({"active", "assistant_id", "company_id", "group_id", "user_id"})
SHOWN_PEOPLE = 50  # on the form, those who have used most


class RateLimited(UserError):
    """A budget allows no further reply now."""

    def __init__(self, message, retry_after):
        super().__init__(message)
        self.retry_after = retry_after  # seconds


class Audience(NamedTuple):
    """What and whom a budget is for; False: for all."""

    assistant_id: int | bool
    company_id: int | bool
    group_id: int | bool
    user_id: int | bool


class Used(NamedTuple):
    """What was consumed, by the name of its limit."""

    max_runs: int
    max_tokens: int
    max_cost: float


class AiBudget(models.Model):
    _name = "ai.budget"
    _description = "AI Budget"
    _order = "name, id"
    _check_company_auto = True

    name = fields.Char(
        required=True, translate=True, help="How people are told of the budget, once it is used up."
    )
    active = fields.Boolean(default=True, help="Off: it limits nothing.")
    # for whom
    assistant_id = fields.Many2one(
        "ai.assistant", ondelete="cascade", index="btree_not_null", check_company=True,
        help="Whose replies are limited. Empty: those of all assistants.",
    )
    user_id = fields.Many2one(
        "res.users", "Person", ondelete="cascade", index="btree_not_null", domain="[('share', '=', False)]",
        help="Whose questions are limited. Empty: those of the group, or of everybody.",
    )
    group_id = fields.Many2one(
        "res.groups", "Group", ondelete="cascade", index="btree_not_null",
        help="The people whose questions are limited. Empty: everybody.",
    )
    company_id = fields.Many2one(
        "res.company", ondelete="cascade", index="btree_not_null",
        help="What is asked in this company is limited. Empty: what is asked in any, all of it together.",
    )
    per_person = fields.Boolean(
        "Each on Their Own", default=True, help="Each person has the whole budget. Off: all of them share it."
    )
    # how much
    max_rounds = fields.Integer(
        "Rounds", help="How often a reply may call tools and think again before it has to be given. 0: as its "
        "assistant says.",
    )
    max_seconds = fields.Integer(
        "Time Limit", help="Seconds after which a reply that is not complete is ended. Waiting for an approval does "
        "not count. 0: as its assistant says.",
    )
    max_concurrent = fields.Integer(
        "Replies at Once", help="How many replies may be made or wait for their turn at the same time. Those that "
        "wait for a person don't count. 0: no limit.",
    )
    period = fields.Selection(
        [("reply", "In a reply"), ("hour", "In an hour"), ("day", "In a day"), ("month", "In a month")],
        default="day",
        required=True,
        help="In which time so much may be used. An hour, a day and a month begin as on the clock and in the calendar.",
    )
    tz = fields.Selection(
        _tz_get, "Time Zone", required=True, default=lambda self: self.env.user.tz or "UTC",
        help="Where days and months begin at midnight.",
    )
    max_runs = fields.Integer("Replies", help="How many replies may be asked for. 0: no limit.")
    max_tokens = fields.Integer(
        "Tokens", help="How many tokens models may read and write for them, as providers count. 0: no limit."
    )
    max_cost = fields.Monetary(
        "Cost", help="What they may cost, by the prices on the models' cards. 0: no limit."
    )
    currency_id = fields.Many2one(
        "res.currency", compute="_compute_currency_id", store=True, precompute=True, readonly=False, required=True,
        help="The currency of the limit; what was paid in another one is converted at today's rate.",
    )
    # what people see
    summary = fields.Char("Limits", compute="_compute_summary", help="All limits of the budget, in a line.")
    audience = fields.Char("For", compute="_compute_audience", help="Whose questions are limited.")
    used = fields.Html(
        "Used So Far", compute="_compute_used", sanitize=False, help="Who has used how much in the present period."
    )

    _limits_not_negative = models.Constraint(
        "CHECK (LEAST(max_rounds, max_seconds, max_concurrent, max_runs, max_tokens, max_cost) >= 0)",
        "A limit cannot be less than nothing.",
    )
    _person_or_group = models.Constraint(
        "CHECK (user_id IS NULL OR group_id IS NULL)", "A budget is for a person or for a group, not for both."
    )

    @api.constrains("name")
    def _check_name(self):
        for budget in self:
            if not budget.name.strip():
                raise ValidationError(self.env._("A budget needs a name."))

    @api.depends("company_id")
    def _compute_currency_id(self):
        for budget in self:
            budget.currency_id = (budget.company_id or self.env.company).currency_id

    @api.depends(
        "max_rounds", "max_seconds", "max_concurrent", "period", "max_runs", "max_tokens", "max_cost", "currency_id"
    )
    def _compute_summary(self):
        for budget in self:
            limits = [budget._amount_text(name) for name in ("max_rounds", "max_seconds", "max_concurrent")]
            limits += map(budget._limit_text, budget._period_limits())
            budget.summary = " · ".join(filter(None, limits))

    @api.depends("user_id", "group_id", "per_person")
    def _compute_audience(self):
        for budget in self:
            who = budget.user_id.name or budget.group_id.display_name or self.env._("Everybody")
            if budget.user_id:
                budget.audience = who
            elif budget.per_person:
                budget.audience = self.env._("%(people)s, each on their own", people=who)
            else:
                budget.audience = self.env._("%(people)s, together", people=who)

    @api.depends(
        "assistant_id", "company_id", "group_id", "user_id", "per_person",
        "period", "tz", "max_runs", "max_tokens", "max_cost", "currency_id",
    )
    def _compute_used(self):
        for budget in self:
            budget.used = budget.period != "reply" and self.env["ir.qweb"]._render(
                "ai_discuss.ai_budget_used", budget._used_values()
            )

    @api.model_create_multi
    def create(self, vals_list):
        budgets = super().create(vals_list)
        self.env.registry.clear_cache()
        return budgets

    def write(self, vals):
        result = super().write(vals)
        if not AUDIENCE_FIELDS.isdisjoint(vals):
            self.env.registry.clear_cache()
        return result

    def unlink(self):
        result = super().unlink()
        self.env.registry.clear_cache()
        return result

    def action_view_runs(self):
        """The runs that count in the present period."""
        self.ensure_one()
        return {
            **self.env["ir.actions.act_window"]._for_xml_id("ai_discuss.ai_run_action"),
            "domain": list(self._counted() & self._in_period()),
            "context": {"search_default_group_by_user": 1},
        }

    # -- whose it is

    @api.model
    def _applying(self, assistant, user, company):
        """The budgets for what `user` asks `assistant` in `company`, with sudo."""
        def is_for_it(audience):
            return (
                audience.assistant_id in (False, assistant.id)
                and audience.company_id in (False, company.id)
                and audience.user_id in (False, user.id)
                # sudo: res.users - only the answer leaves this method
                and (not audience.group_id or audience.group_id in user.sudo().all_group_ids.ids)
            )

        # sudo: ai.budget - people learn of a budget only what is said to them once it is used up
        return self.sudo().browse(id_ for id_, audience in self._audiences().items() if is_for_it(audience))

    @api.model
    @tools.ormcache()
    def _audiences(self):
        """For whom each budget in force is, by its id. Cached: each question asks, and often there is none."""
        # sudo: ai.budget - for `_applying`
        return frozendict({
            budget.id: Audience(
                budget.assistant_id.id, budget.company_id.id, budget.group_id.id, budget.user_id.id
            )
            for budget in self.sudo().with_context(active_test=True).search([], order="id")
        })

    # -- whether anything is left

    @api.model
    def _check(self, assistant, user):
        """Whether `user` may have one more reply of `assistant` now. Where their number is limited, nobody else is
        given one of the same budget before this transaction ends.

        Raises:
            RateLimited: a budget is used up. Of several, the one that lasts longest.
        """
        budgets = self._applying(assistant, user, self.env.company).with_context(lang=user.lang or "en_US")
        if refusals := [refusal for budget in budgets if (refusal := budget._refusal(user))]:
            raise max(refusals, key=lambda refusal: refusal.retry_after)

    def _refusal(self, user):
        """Why `user` may have no further reply now; None: they may."""
        self.ensure_one()
        counts_replies = self.max_runs and self.period != "reply"
        if self.max_concurrent or counts_replies:
            self._wait_for_others(user)
        if counts_replies and self._count_now(self._counted(user) & self._in_period()) >= self.max_runs:
            return self._refused("max_runs", user)
        if self.period != "reply" and (limit := self._limit_reached(self._counted(user) & self._in_period())):
            return self._refused(limit, user)
        if self.max_concurrent and self._count_now(self._counted(user) & self._active()) >= self.max_concurrent:
            return RateLimited(self.env._(
                "No more than %(amount)s can be made at the same time (budget “%(budget)s”). "
                "Wait until one is complete, or stop one.",
                amount=self._amount_text("max_runs", self.max_concurrent), budget=self.name,
            ), RETRY_BUSY_AFTER_S)
        return None

    def _refused(self, limit, user):
        _start, end = self._period_bounds()
        text = self.env._(
            "%(used_up)s It starts anew on %(when)s.",
            used_up=self._used_up_text(limit),
            when=format_datetime(self.env, end, tz=user.tz or self.tz, dt_format="short"),
        )
        return RateLimited(text, math.ceil((end - self.env.cr.now()).total_seconds()))

    def _limit_reached(self, domain):
        """Which limit on tokens or money the runs of `domain` have reached; None: none."""
        limits = [name for name in self._period_limits() if name != "max_runs"]
        if not limits:
            return None
        used = self._consumed(domain)
        return next((name for name in limits if getattr(used, name) >= self[name]), None)

    def _period_limits(self):
        """The limits on what may be used in the period."""
        names = ("max_tokens", "max_cost") if self.period == "reply" else Used._fields
        return [name for name in names if self[name]]

    # -- counting; with sudo

    def _counted(self, user=None):
        """The runs that count against the budget of `user`; without one, against everybody's. What was refused at once
        counts nowhere, nor does what was copied with its conversation."""
        domain = Domain("error_code", "!=", BudgetSpent.code) & Domain("is_copy", "=", False)
        if self.assistant_id:
            domain &= Domain("assistant_id", "=", self.assistant_id.id)
        if self.company_id:
            domain &= Domain("company_id", "=", self.company_id.id)
        if user and self.per_person:
            return domain & Domain("user_id", "=", user.id)
        if self.user_id:
            return domain & Domain("user_id", "=", self.user_id.id)
        if self.group_id:
            return domain & Domain("user_id.all_group_ids", "in", self.group_id.ids)
        return domain

    def _in_period(self):
        """The runs that count now."""
        if self.period == "reply":
            return Domain.TRUE
        start, _end = self._period_bounds()
        return Domain("create_date", ">=", start)

    @api.model
    def _active(self):
        return Domain("state", "in", (RunState.QUEUED.value, RunState.RUNNING.value))

    def _period_bounds(self):
        """When the present period has begun and when it ends, in UTC. By the calendar where the budget is at home:
        everybody knows when a day ends."""
        now, zone = self.env.cr.now(), pytz.timezone(self.tz)
        local = pytz.utc.localize(now).astimezone(zone).replace(tzinfo=None)
        start = date_utils.start_of(local, self.period)
        if self.period == "hour":  # the clock may be changed in it: it lasts an hour nevertheless
            return now - (local - start), now - (local - start) + timedelta(hours=1)
        end = start + relativedelta(**{f"{self.period}s": 1})
        return tuple(zone.localize(moment).astimezone(pytz.utc).replace(tzinfo=None) for moment in (start, end))

    def _consumed(self, domain):
        """What the runs of `domain` have consumed, all together."""
        return self._consumed_by(domain, [])[()]

    def _consumed_by(self, domain, groups):
        """What the runs of `domain` have consumed, by the fields `groups`."""
        used = defaultdict(lambda: Used(0, 0, 0.0))
        figures = ["__count", "input_tokens:sum", "output_tokens:sum", "cost:sum"]
        for *key, paid_in, count, tokens_in, tokens_out, paid in self.env["ai.run"]._read_group(
            domain, [*groups, "currency_id"], figures
        ):
            runs, tokens, cost = used[tuple(key)]
            cost += self._converted(paid or 0.0, paid_in)
            used[tuple(key)] = Used(runs + count, tokens + (tokens_in or 0) + (tokens_out or 0), cost)
        return used

    def _converted(self, amount, currency):
        if not amount or not currency:
            return amount
        company = self.company_id or self.env.company
        return currency._convert(amount, self.currency_id, company, fields.Date.today(), round=False)

    def _wait_for_others(self, user):
        """Hold the right to be given a reply of this budget to the end of the transaction."""
        key = f"ai_discuss.budget:{self.id}:{user.id if self.per_person else 0}"
        self.env.cr.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])

    def _count_now(self, domain):
        """How many runs of `domain` there are at this moment. This transaction sees what was there when it began; what
        others have added since, another cursor sees."""
        ours = SQL("ai_run.create_date = %s", self.env.cr.now())
        with self.env.registry.cursor() as cr:
            others = self._count_where(self.env(cr=cr), domain, SQL("NOT (%s)", ours))
        return others + self._count_where(self.env, domain, ours)

    @api.model
    def _count_where(self, env, domain, condition):
        query = env["ai.run"].sudo()._search(domain)
        query.add_where(condition)
        [(count,)] = env.execute_query(query.select(SQL("COUNT(*)")))
        return count

    # -- words

    def _used_up_text(self, limit):
        return self.env._(
            "The budget “%(budget)s” is used up: %(limit)s.", budget=self.name, limit=self._limit_text(limit)
        )

    def _limit_text(self, name):
        """A limit with its period."""
        amount = self._amount_text(name)
        match self.period:
            case "reply":
                return self.env._("%(amount)s in a reply", amount=amount)
            case "hour":
                return self.env._("%(amount)s an hour", amount=amount)
            case "day":
                return self.env._("%(amount)s a day", amount=amount)
            case "month":
                return self.env._("%(amount)s a month", amount=amount)

    def _amount_text(self, name, value=None):
        """The limit `name`, or so much of it, with its unit; empty where there is none."""
        value = self[name] if value is None else value
        if not value:
            return ""
        if name == "max_cost":
            return formatLang(self.env, value, currency_obj=self.currency_id)
        one, many = {
            "max_rounds": (self.env._("1 round"), self.env._("%s rounds")),
            "max_seconds": (self.env._("1 second"), self.env._("%s seconds")),
            "max_concurrent": (self.env._("1 reply at once"), self.env._("%s replies at once")),
            "max_runs": (self.env._("1 reply"), self.env._("%s replies")),
            "max_tokens": (self.env._("1 token"), self.env._("%s tokens")),
        }[name]
        return one if value == 1 else many % formatLang(self.env, value, digits=0)

    # -- what managers see

    def _used_values(self):
        """Who has used how much, for the form: those who have used most, and all of them where they share."""
        domain = self._counted() & self._in_period()
        # as the manager, with the rules of runs: nothing of companies that are not theirs
        people = self._consumed_by(domain, ["user_id"]).items()
        rows = sorted(((user.name, used) for (user,), used in people), key=lambda row: -self._share(row[1]))
        rows = rows[:SHOWN_PEOPLE]
        if rows and not self.per_person:
            rows.append((self.env._("All together"), self._consumed(domain)))
        return {"budget": self, "rows": [(name, used, int(100 * self._share(used))) for name, used in rows]}

    def _share(self, used):
        """How much of the budget `used` is; of several limits, the one of which least is left."""
        return max((getattr(used, name) / self[name] for name in self._period_limits()), default=0)
