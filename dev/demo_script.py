"""What the demo model says: a table of intents, and one small script for each. Not a language model, and it says so.

A script is a generator that reads from top to bottom like the conversation it has: it yields the calls of a round, is
sent their results, and returns its answer. A chat request carries the rounds so far, so `next_reply` runs the script
from its beginning each time and keeps nothing in between.
"""

import json
import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

MOST_NUMBERS = 2000  # how far it counts
MOST_PRODUCTS = 5  # whose stock is looked up at once
ABOUT_IT = re.compile(r"\b(?:this|it|record|summari[sz]e|last|message)\b", re.IGNORECASE)  # the one beside the question


@dataclass(frozen=True)
class Call:
    """A tool call that the script wants to make, by the tool's own name."""

    tool: str
    arguments: dict[str, Any] = field(default_factory=dict)
    text_suffices: bool = False  # where a result that is no JSON object isn't taken for an error


@dataclass(frozen=True)
class Result:
    """What a call returned; `data` is None where it is no JSON object, as with errors."""

    text: str
    data: dict[str, Any] | None

    @property
    def denied(self) -> bool:
        """Whether a person didn't allow the call; Odoo says so in these words."""
        return self.data is None and self.text.startswith(("Denied by ", "Nobody decided "))


@dataclass(frozen=True)
class Request:
    """A chat request, as far as a script reads it."""

    text: str  # the last user message
    earlier: Sequence[str] = ()  # the user messages before it
    offered: Mapping[str, str] = field(default_factory=dict)  # names of the tools → what they do
    rounds: Sequence[Sequence[Result]] = ()  # results since the last user message, by round
    record: str = ""  # what came with the question of the record that it was asked about


Script = Generator[list[Call], Sequence[Result], str]


@dataclass(frozen=True)
class Intent:
    """A kind of request: how it is recognised, what is done, and an example for people to try."""

    pattern: str
    script: Callable[[re.Match[str], Request], Script]
    example: str = ""


class NotOffered(Exception):
    """The script needs a tool that the request doesn't offer."""


def next_reply(request: Request) -> str | list[Call]:
    """The answer's text, or the calls to make first (their tools named as the request names them)."""
    script = _script_for(request)
    try:
        wanted = next(script)
        for results in request.rounds:
            if any(result.denied for result in results):
                return _refusal(results)
            if not any(call.text_suffices or result.data for call, result in zip(wanted, results, strict=True)):
                return _failure(results)
            wanted = script.send(results)
        return [Call(_offered_name(call.tool, request), call.arguments) for call in wanted]
    except StopIteration as end:
        return end.value
    except NotOffered as missing:
        return (
            f"For that I would call the tool `{missing}`, but it isn't among the tools of this conversation. "
            "Perhaps it is switched off, or its server cannot be reached."
        )
    except (KeyError, ValueError, TypeError, IndexError):  # a date that isn't one, or another server's idea of the tool
        return f"I got lost on the way with that: I am only a script. {_suggestions(request)}"


def _script_for(request: Request) -> Script:
    if request.record and ABOUT_IT.search(request.text):
        return _describe(request)
    for intent in INTENTS:
        if match := re.search(intent.pattern, request.text, re.IGNORECASE | re.DOTALL):
            return intent.script(match, request)
    return _unknown(request)


def _offered_name(tool: str, request: Request) -> str:
    """The tool's name in this request, which may carry its server's as a prefix."""
    for name in request.offered:
        if name == tool or name.endswith(("_" + tool, "-" + tool)):
            return name
    raise NotOffered(tool)


def _refusal(results: Sequence[Result]) -> str:
    denied = [result.text.partition(". ")[0] for result in results if result.denied]
    made = "" if len(denied) == len(results) else " The other calls were made; look at them above."
    return f"All right, I left that alone: nothing was changed. {denied[0]}.{made}"


def _failure(results: Sequence[Result]) -> str:
    return f"That did not work. The tool answered:\n\n{_quoted(result.text for result in results)}"


def _quoted(texts: Iterable[str]) -> str:
    return "\n>\n".join("> " + text[:400].replace("\n", "\n> ") for text in texts)


# -- Scripts without tools ---------------------------------------------------------------------------------------------


def _say(text: str) -> Callable[[re.Match[str], Request], Script]:
    def script(match: re.Match[str], request: Request) -> Script:
        return text
        yield

    return script


def _help(match: re.Match[str], request: Request) -> Script:
    return f"Hello! I am the demo's **scripted stand-in** for a language model. {_suggestions(request)}"
    yield


def _unknown(request: Request) -> Script:
    return f"I don't know that one: I am a script with a dozen tricks, not a language model. {_suggestions(request)}"
    yield


def _describe(request: Request) -> Script:
    """What the addon says of a record: its name, then an indented line for each field, then its messages."""
    name, _fields, *lines = request.record.splitlines()
    fields = "\n".join(f"- {line.strip()}" for line in lines if re.match(r"  \S.*: \S", line))
    return f"This is **{name}**. As far as you may read it, it says:\n\n{fields}\n\nA real model would make more of it."
    yield


def _suggestions(request: Request) -> str:
    examples = "\n".join(f"- {intent.example}" for intent in INTENTS if intent.example)
    return (
        f"I was offered **{len(request.offered)} tools** and I really call them. Try one of these:\n\n{examples}\n\n"
        'Any other tool runs with `call tool <name> {"argument": "value"}`. '
        "For real answers, give this assistant a provider with a real model."
    )


def _list_tools(match: re.Match[str], request: Request) -> Script:
    if not request.offered:
        return "None: this request came without any tool."
    rows = [(f"`{name}`", description.split("\n")[0]) for name, description in request.offered.items()]
    return "These tools were offered to me:\n\n" + _table(("Tool", "What it does"), rows)
    yield


def _recall(match: re.Match[str], request: Request) -> Script:
    if not request.earlier:
        return "This is your first message in this conversation, as far as I can see."
    count = f"I see {len(request.earlier)} earlier messages of people."
    return f"Before this you wrote:\n\n{_quoted(request.earlier[-1:])}\n\n{count}"
    yield


def _count(match: re.Match[str], request: Request) -> Script:
    last = min(int(match["last"]), MOST_NUMBERS)
    return ", ".join(map(str, range(1, last + 1))) + "."
    yield


WHO = """\
I am **not a language model**. I am the demo's *scripted stand-in*: a few hundred lines of Python that recognise \
about a dozen requests by regular expressions, call the tools they need, and speak OpenAI's chat protocol.

What is real here: the tools and their servers, the rounds of calls, the stream, and the records in Odoo. What is \
not: any understanding. To talk to a real model, start the demo with `OPENAI_BASE_URL`, `OPENAI_API_KEY` and \
`OPENAI_MODEL`, or set another provider on the assistant. Say **help** for what I can do."""

FORMATTING = """\
### Formatting

Text can be **bold**, *italic*, ~~struck through~~ or `code`, and link to [Odoo](https://www.odoo.com).

1. Numbered lists
2. with several items
   - and lists inside

| Quarter | Revenue | Change |
|---|---:|---:|
| Q1 | 207,900 € | |
| Q2 | 231,600 € | +11 % |

```python
def greet(name: str) -> str:
    return f"Hello, {name}!"
```

> Quotations stand apart.

Raw HTML such as <b>this</b> stays plain text."""


# -- Scripts with tools ------------------------------------------------------------------------------------------------


def _times(match: re.Match[str], request: Request) -> Script:
    places = _listed(match["places"] or "UTC")
    results = yield [Call("current_time", {"time_zone": place}) for place in places]
    known = [(place, result.data) for place, result in zip(places, results, strict=True) if result.data]
    if len(places) == 1:
        place, time = known[0]
        return f"In **{place}** it is **{_clock(time)}** on {time['weekday']}, {_day(time)} (UTC{time['utc_offset']})."
    rows = [
        (place, f"**{_clock(time)}**", time["weekday"], _day(time), f"UTC{time['utc_offset']}") for place, time in known
    ]
    return _table(("Place", "Time", "Weekday", "Date", "Offset"), rows) + _complaints(places, results)


def _meeting(match: re.Match[str], request: Request) -> Script:
    places = _listed(match["places"])
    results = yield [Call("current_time", {"time_zone": place}) for place in places]
    offsets = {place: _hours(result.data) for place, result in zip(places, results, strict=True) if result.data}
    best = min(range(24), key=lambda hour: max(abs((hour + offset) % 24 - 13) for offset in offsets.values()))
    rows = []
    for place, offset in offsets.items():
        minutes = round((best + offset) * 60) % 1440
        comment = "office hours" if 540 <= minutes <= 1020 else "early" if minutes < 540 else "late"
        rows.append((place, f"**{minutes // 60:02}:{minutes % 60:02}**", comment))
    table = _table(("Place", "Local time", ""), rows)
    return f"The least bad hour for everybody is **{best:02}:00 UTC**:\n\n{table}" + _complaints(places, results)


def _calculate(match: re.Match[str], request: Request) -> Script:
    expression = _expression(match["sum"])
    (result,) = yield [Call("calculate", {"expression": expression})]
    return f"`{expression}` = **{result.data['result']}**"


def _convert(match: re.Match[str], request: Request) -> Script:
    value, source, target = match["value"].replace(",", ""), match["source"].strip(), match["target"].strip()
    (result,) = yield [Call("convert_units", {"value": float(value), "from_unit": source, "to_unit": target})]
    return f"{value} {source} = **{result.data['value']} {result.data['unit']}**"


def _products(match: re.Match[str], request: Request) -> Script:
    limit = {"max_price": float(match["limit"])} if match["limit"] else {}
    (found,) = yield [Call("search_products", {"query": match["what"], **limit})]
    products = found.data["products"][:MOST_PRODUCTS]
    if not products:
        return f"The catalogue has no {match['what']} at that price."
    stocks = yield [Call("get_stock", {"sku": product["sku"]}) for product in products]
    rows = []
    for product, stock in zip(products, stocks, strict=True):
        pieces = stock.data["total"] if stock.data else "?"
        delivery = (stock.data or {}).get("next_delivery") or "–"
        rows.append((f"`{product['sku']}`", product["name"], f"{product['price']} €", pieces, delivery))
    found_text = f"I found **{found.data['count']}** in the catalogue"
    found_text += f"; here are the first {len(rows)}:" if found.data["count"] > len(rows) else ":"
    table = _table(("SKU", "Product", "Price", "In stock", "Next delivery"), rows, right=(2, 3))
    in_stock = sum(row[3] not in (0, "?") for row in rows)
    return f"{found_text}\n\n{table}\n\n{in_stock} of them can be shipped today. Prices are without VAT."


def _quote(match: re.Match[str], request: Request) -> Script:
    count, discount = int(match["count"]), int(match["discount"] or 0)
    (found,) = yield [Call("search_products", {"query": match["what"]})]
    if not found.data["products"]:
        return f"The catalogue has nothing called “{match['what']}”."
    product = found.data["products"][0]
    expression = f"{count} * {product['price']}" + (f" * (1 - {discount} / 100)" if discount else "")
    stock, total = yield [
        Call("get_stock", {"sku": product["sku"]}),
        Call("calculate", {"expression": expression}),
    ]
    lines = [
        (product["name"], f"{count} × {product['price']} €"),
        *([("Discount", f"−{discount} %")] if discount else []),
        ("**Total without VAT**", f"**{float(total.data['result']):,.2f} €**" if total.data else "?"),
    ]
    return _table((f"Quote for `{product['sku']}`", ""), lines, right=(1,)) + "\n\n" + _availability(count, stock)


def _availability(count: int, stock: Result) -> str:
    if not stock.data:
        return "I could not look up the stock."
    if stock.data["total"] >= count:
        return f"All {count} are in stock ({stock.data['brussels']} in Brussels, {stock.data['lyon']} in Lyon)."
    delivery = stock.data["next_delivery"]
    return f"Only {stock.data['total']} are in stock; " + (
        f"the next delivery arrives on {delivery}." if delivery else "nothing is on order yet."
    )


def _stock(match: re.Match[str], request: Request) -> Script:
    (stock,) = yield [Call("get_stock", {"sku": match["sku"].upper()})]
    data = stock.data
    text = f"**{data['name']}**: {data['total']} pieces, {data['brussels']} in Brussels and {data['lyon']} in Lyon."
    return text + (f" The next delivery arrives on {data['next_delivery']}." if data["next_delivery"] else "")


def _working_days(match: re.Match[str], request: Request) -> Script:
    countries = _countries(request.text)
    (now,) = yield [Call("current_time", {"time_zone": "Europe/Brussels"})]
    today = date.fromisoformat(_day(now.data))
    start = _date(match["start"], today) if match["start"] else today
    end = _date(match["end"], start)
    results = yield [
        Call("working_days", {"start": str(start), "end": str(end), "country": country}) for country in countries
    ]
    parts = [
        _counted(country, result.data) for country, result in zip(countries, results, strict=True) if result.data
    ]
    return f"From {start:%-d %B %Y} to {end:%-d %B %Y}:\n\n" + "\n".join(parts) + _complaints(countries, results)


def _counted(country: str, data: Mapping[str, Any]) -> str:
    holidays = ", ".join(f"{holiday['name']} ({holiday['date']})" for holiday in data["holidays_on_weekdays"])
    without = f"{data['weekend_days']} weekend days" + (f" and {holidays}" if holidays else "")
    return f"- **{data['working_days']} working days** in {COUNTRY_NAMES[country]}, without {without}"


def _holidays(match: re.Match[str], request: Request) -> Script:
    country = _countries(request.text)[0]
    year = match["year"]
    if not year:
        (now,) = yield [Call("current_time", {"time_zone": "Europe/Brussels"})]
        year = now.data["local_time"][:4]
    (found,) = yield [Call("public_holidays", {"country": country, "year": int(year)})]
    rows = [(day["date"], day["weekday"], day["name"]) for day in found.data["holidays"]]
    title = f"**{len(rows)} public holidays in {COUNTRY_NAMES[country]} in {year}**"
    return f"{title}\n\n" + _table(("Date", "Weekday", "Holiday"), rows)


def _sales(match: re.Match[str], request: Request) -> Script:
    years = sorted({int(year) for year in re.findall(r"\b20\d\d\b", request.text)}) or [2025, 2026]
    results = yield [Call("sales_report", {"year": year}) for year in years]
    reports = [result.data for result in results if result.data]
    drawn = ""
    if re.search(r"chart|graph|plot|draw|diagram", request.text, re.IGNORECASE):
        bars = {f"{name} {report['year']}": amount for report in reports for name, amount in report["quarters"].items()}
        title = "Revenue " + "-".join(dict.fromkeys(str(report["year"]) for report in (reports[0], reports[-1])))
        drawing = {"title": title, "labels": list(bars), "values": list(bars.values())}
        (chart,) = yield [Call("draw_chart", drawing, text_suffices=True)]
        drawn = "\n\n" + chart.text.splitlines()[0]
    rows = [
        (report["year"], *(f"{amount:,}" for amount in report["quarters"].values()), f"**{report['total']:,}**")
        for report in reports
    ]
    table = _table(("Year", "Q1", "Q2", "Q3", "Q4", "Total (EUR)"), rows, right=range(1, 6))
    return table + _growth(reports) + drawn + _complaints(list(map(str, years)), results)


def _growth(reports: Sequence[Mapping[str, Any]]) -> str:
    return "".join(
        f"\n\n{after['year']} is **{(after['total'] / before['total'] - 1) * 100:+.1f} %** against {before['year']}."
        for before, after in pairwise(reports)
    )


def _note(match: re.Match[str], request: Request) -> Script:
    text = match["text"].strip()
    title = text if len(text) <= 60 else text[:57].rsplit(" ", 1)[0] + "…"
    (note,) = yield [Call("create_note", {"title": title[:1].upper() + title[1:], "text": text})]
    return f"Noted as number **{note.data['id']}**: {note.data['title']}"


def _delete_note(match: re.Match[str], request: Request) -> Script:
    (note,) = yield [Call("delete_note", {"number": int(match["number"])})]
    return f"Note **{note.data['id']}** is gone: {note.data['title']}"


def _notes(match: re.Match[str], request: Request) -> Script:
    (result,) = yield [Call("list_notes")]
    notes = result.data["notes"]
    lines = [f"{note['id']}. **{note['title']}** ({note['created']})" for note in notes]
    return "\n".join(lines) or "There are no notes yet."


def _any_tool(match: re.Match[str], request: Request) -> Script:
    try:
        arguments = json.loads(match["arguments"] or "{}")
    except ValueError as error:
        return f"The arguments after the tool's name are not valid JSON ({error})."
    (result,) = yield [Call(match["tool"], arguments, text_suffices=True)]
    return f"The tool `{match['tool']}` answered:\n\n```\n{result.text[:2000]}\n```"


# -- What the scripts have in common -----------------------------------------------------------------------------------

COUNTRY_NAMES = {"BE": "Belgium", "DE": "Germany", "FR": "France", "IT": "Italy", "LU": "Luxembourg"}
_MONTHS = [date(2000, number, 1).strftime("%B").lower() for number in range(1, 13)]
_DATE = r"\d{4}-\d\d-\d\d|\d{1,2}(?:st|nd|rd|th)? [A-Z]{3,9}(?: \d{4})?|Christmas|New Year|the end of (?:the|this) year"


def _listed(text: str) -> list[str]:
    """The places of `Tokyo, New York and Brussels (now, please)`."""
    text = re.sub(r"\b(?:right now|now|today|please|currently|meet|talk)\b", "", text, flags=re.IGNORECASE)
    parts = re.split(r",|&|\band in\b|\band\b", text)
    return list(dict.fromkeys(part.strip() for part in parts if part.strip())) or ["UTC"]


def _countries(text: str) -> list[str]:
    return [code for code, name in COUNTRY_NAMES.items() if name.lower() in text.lower()] or ["BE"]


def _date(text: str, after: date) -> date:
    """The day that `text` names; without a year, the first such day from `after` on."""
    text = text.lower()
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return date.fromisoformat(text)
    text = {"christmas": "25 december", "new year": "31 december"}.get(text, text)
    if text.startswith("the end of"):
        text = "31 december"
    day, month, *year = re.sub(r"(?<=\d)(?:st|nd|rd|th)", "", text).split()
    number = next((index for index, name in enumerate(_MONTHS, 1) if name.startswith(month)), after.month)
    found = date(int(year[0]) if year else after.year, number, 1) + timedelta(days=int(day) - 1)
    return found if year or found >= after else found.replace(year=found.year + 1)


def _expression(text: str) -> str:
    """`17% of 2,340` or `12 x 289` as the calculator wants it."""
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    text = re.sub(r"([\d.]+)\s*%\s*of\s+", r"\1 / 100 * ", text)
    text = re.sub(r"(?<=[\d)])\s*x\s*(?=[\d(])", " * ", text)
    return text.replace("×", "*").replace("÷", "/").replace("^", "**").strip(" =.?")


def _clock(time: Mapping[str, Any]) -> str:
    return time["local_time"][-5:]


def _day(time: Mapping[str, Any]) -> str:
    return time["local_time"][:10]


def _hours(time: Mapping[str, Any]) -> float:
    offset = time["utc_offset"]
    return (int(offset[1:3]) + int(offset[4:]) / 60) * (-1 if offset[0] == "-" else 1)


def _complaints(asked: Sequence[str], results: Sequence[Result]) -> str:
    """What could not be had, one line each, below what could."""
    return "".join(
        f"\n\nNot {name}: {result.text[:300]}" for name, result in zip(asked, results, strict=True) if not result.data
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[int] = ()) -> str:
    rule = ["---:" if index in right else "---" for index in range(len(header))]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (header, rule, *rows))


_GOODS = r"(?:desk|chair|stool|shel[fv]|storage|lamp|lighting|locker|cabinet|panel|monitor arm|accessori)\w*"

# The first that matches wins: what is more particular stands above what is more general.
INTENTS = (
    Intent(r"\b(?:call|use|run) (?:the )?tool `?(?P<tool>[\w.-]+)`?\s*(?:with )?(?P<arguments>\{.*\})?", _any_tool),
    Intent(r"\bnotes\b", _notes, "Show my notes"),
    Intent(r"\b(?:delete|remove|forget) (?:the )?note (?:number )?(?P<number>\d+)", _delete_note, "Delete note 1"),
    Intent(r"\b(?:note|remember|remind me|write down)\b(?: that| to|:)?\s*(?P<text>\S.*)", _note,
           "Note: call Azure Interior on Monday"),
    Intent(r"\b(?:when|what time) can\s+(?P<places>[A-Z][^?!.\n]*?)\s+(?:meet|talk)\b", _meeting),
    Intent(r"\b(?:meet|call|meeting|talk)\b.*?\b(?:between|with|for)\s+(?P<places>[A-Z][^?!.\n]*)", _meeting,
           "Find an hour for a call between Brussels, New York and Singapore"),
    Intent(r"\b(?:time|date)\b(?:.*?\b(?:in|for|at)\s+(?P<places>[^?!.\n]+))?", _times,
           "What time is it in Tokyo, New York and Brussels?"),
    Intent(rf"\bworking days\b.*?(?:(?P<start>{_DATE})\s*(?:and|to|until|till|–|-)\s*|until |till |before |to )"
           rf"(?P<end>{_DATE})", _working_days, "How many working days until 15 January in Belgium and Germany?"),
    Intent(r"\bholidays?\b(?:.*?\b(?P<year>(?:19|20|21)\d\d)\b)?", _holidays, "Public holidays in France in 2027"),
    Intent(r"\b(?:sales|revenue|turnover)\b", _sales, "Draw a chart of our sales in 2025 and 2026"),
    Intent(rf"\b(?P<count>\d+)\s*(?:x |× |of |pieces of )?(?P<what>(?:[a-z]+ )?{_GOODS})(?:.*?(?P<discount>\d+)\s*%)?",
           _quote, "Quote 12 ergo chairs with 10 % discount"),
    Intent(r"\b(?P<sku>[A-Z]{3}-[A-Z0-9]+)\b", _stock, "How many DSK-140 are in stock?"),
    Intent(rf"\b(?P<what>{_GOODS})(?:.*?(?:under|below|less than|up to|at most|max\w*)\s*(?:€|EUR)?\s*(?P<limit>\d+))?",
           _products, "Which desks do we have under 300 €?"),
    Intent(r"\bconvert\s+(?P<value>-?[\d.,]+)\s*(?P<source>[°a-z/\d]+)\s+(?:to|into|in)\s+(?P<target>[°a-z/\d]+)",
           _convert, "Convert 26.2 miles to km"),
    Intent(r"\bhow (?:many|much) (?P<target>[°a-z/]+) (?:is|are|in)\s+(?P<value>-?[\d.,]+)\s*(?P<source>[°a-z/]+)",
           _convert),
    Intent(r"\bcount (?:up )?to (?P<last>\d+)", _count, "Count to 200"),
    Intent(r"(?P<sum>[\d.,]+\s*% of [\d.,]*\d|sqrt\([\d.]+\)|[-(\d][\d\s.,()]*[-+*/×÷^x][-+*/×÷^x\d\s.,()]*[\d)])",
           _calculate, "What is 17% of 2,340?"),
    Intent(r"\b(?:which|what|list)\b.*\btools\b", _list_tools, "Which tools do you have?"),
    Intent(r"\b(?:markdown|formatt?ing|format)\b", _say(FORMATTING), "Show me your formatting"),
    Intent(r"\bwhat did i (?:just )?(?:say|ask|write)|\bmy (?:last|previous) (?:question|message)", _recall,
           "What did I just say?"),
    Intent(r"\b(?:who|what) are you\b|\bare you (?:a |an )?(?:real|human|ai|bot|llm|scripted)\b|\bwhich model\b",
           _say(WHO), "Are you a real model?"),
    Intent(r"^\W*(?:thanks|thank you|merci|danke)\b", _say("You're welcome.")),
    Intent(r"\b(?:hi|hello|hey|help|good (?:morning|afternoon|evening))\b|\bwhat can you do\b", _help),
)  # fmt: skip
