"""The demo's MCP server: a small office supplier's tools, real ones, over streamable HTTP.

All of it is offline, and all but the clock is deterministic. It only shows what a server can offer: reading and writing
tools, errors that a model can learn from, progress, and an image. Run it as `python -m dev.demo_mcp --port N`.
"""

import asyncio
import difflib
import io
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont
from pydantic import BaseModel, Field

from dev import demo_calendar, demo_peer, demo_sums
from dev.demo_catalogue import PRODUCTS, SALES, Product, Stock, stock_of

READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)
DELETES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=False)

LONGEST_SPAN_DAYS = 3660  # working days are counted over ten years at most
PROGRESS_PAUSE_SECONDS = 0.25  # between two quarters of a sales report, so that its progress can be seen
MOST_BARS = 24

Country = Annotated[
    Literal["BE", "DE", "FR", "IT", "LU"], Field(description="Two-letter country code: BE, DE, FR, IT or LU")
]
Day = Annotated[date, Field(description="A date as YYYY-MM-DD")]


class LocalTime(BaseModel):
    time_zone: str
    local_time: str
    weekday: str
    utc_offset: str


class Calculation(BaseModel):
    expression: str
    result: str


class Conversion(BaseModel):
    value: str
    unit: str


class ProductList(BaseModel):
    query: str
    count: int
    products: list[Product]


class Holiday(BaseModel):
    date: date
    weekday: str
    name: str


class HolidayList(BaseModel):
    country: str
    year: int
    holidays: list[Holiday]


class WorkingDays(BaseModel):
    working_days: int
    calendar_days: int
    weekend_days: int
    holidays_on_weekdays: list[Holiday]


class SalesReport(BaseModel):
    year: int
    currency: str
    quarters: dict[str, int]
    total: int


class Note(BaseModel):
    id: int
    title: str
    text: str
    created: str


class NoteList(BaseModel):
    count: int
    notes: list[Note]


FIRST_NOTE = Note(id=1, title="Welcome", text="Delete me: you will be asked first.", created="2026-01-01 09:00 UTC")


@dataclass
class OfficeTools:
    """The tools; the notes that people had it write live as long as the process."""

    notes: list[Note] = field(default_factory=lambda: [FIRST_NOTE])
    written: int = 1  # also those that are deleted since: a number is never given twice

    def current_time(
        self,
        time_zone: Annotated[str, Field(description="IANA time zone such as Europe/Brussels, or its city")] = "UTC",
    ) -> LocalTime:
        """Tell the current date and time in a time zone."""
        zone = _zone_named(time_zone)
        now = datetime.now(ZoneInfo(zone))
        offset = now.strftime("%z")
        return LocalTime(
            time_zone=zone,
            local_time=now.strftime("%Y-%m-%d %H:%M"),
            weekday=now.strftime("%A"),
            utc_offset=f"{offset[:3]}:{offset[3:]}",
        )

    def calculate(
        self,
        expression: Annotated[str, Field(description="Arithmetic, for example (289 * 12) * 0.9 or sqrt(2)")],
    ) -> Calculation:
        """Work out an arithmetic expression exactly, in decimals."""
        try:
            return Calculation(expression=expression, result=demo_sums.plain(demo_sums.evaluate(expression)))
        except demo_sums.BadInput as error:
            raise ToolError(str(error)) from None

    def convert_units(
        self,
        value: Annotated[float, Field(description="How much of the first unit")],
        from_unit: Annotated[str, Field(description="Unit to convert from, for example mi, kg, F or GiB")],
        to_unit: Annotated[str, Field(description="Unit to convert to; of the same kind")],
    ) -> Conversion:
        """Convert a length, mass, volume, area, speed, temperature or amount of data to another unit."""
        try:
            result = demo_sums.convert(Decimal(repr(value)), from_unit, to_unit)
        except demo_sums.BadInput as error:
            raise ToolError(str(error)) from None
        return Conversion(value=demo_sums.plain(result), unit=to_unit)

    def search_products(
        self,
        query: Annotated[str, Field(description="Words to look for; empty lists everything")] = "",
        max_price: Annotated[float | None, Field(description="Highest price in EUR, without VAT")] = None,
    ) -> ProductList:
        """Search the catalogue of office furniture by category, or else by name and description."""
        words = [word.removesuffix("s") for word in query.lower().split()]
        affordable = [product for product in PRODUCTS if max_price is None or product.price <= max_price]
        found = [product for product in affordable if _mentions(product.category, words)] or [
            product
            for product in affordable
            if _mentions(f"{product.sku} {product.name} {product.category} {product.description}", words)
        ]
        return ProductList(query=query, count=len(found), products=found)

    def get_stock(
        self,
        sku: Annotated[str, Field(description="The product's SKU, as search_products gives it")],
    ) -> Stock:
        """Tell how many pieces of a product are in each warehouse, and when the next delivery arrives."""
        for product in PRODUCTS:
            if product.sku == sku.strip().upper():
                return stock_of(product)
        close = difflib.get_close_matches(sku.upper(), [product.sku for product in PRODUCTS], 3, 0.4)
        raise ToolError(f"No product has the SKU {sku!r}. " + _did_you_mean(close))

    def public_holidays(
        self,
        country: Country,
        year: Annotated[int, Field(ge=1970, le=2199, description="The year")],
    ) -> HolidayList:
        """List the national public holidays of a country in a year."""
        found = demo_calendar.holidays(country, year)
        return HolidayList(country=country, year=year, holidays=[_holiday(day, name) for day, name in found.items()])

    def working_days(self, start: Day, end: Day, country: Country) -> WorkingDays:
        """Count the working days between two dates, both included: no weekends and no public holidays."""
        if end < start:
            raise ToolError("The end lies before the start.")
        if (end - start).days > LONGEST_SPAN_DAYS:
            raise ToolError("At most ten years can be counted at once.")
        days = demo_calendar.days_between(start, end)
        weekdays = [day for day in days if day.weekday() < 5]
        names: dict[date, str] = {}
        for year in range(start.year, end.year + 1):
            names |= demo_calendar.holidays(country, year)
        holidays = [_holiday(day, names[day]) for day in weekdays if day in names]
        return WorkingDays(
            working_days=len(weekdays) - len(holidays),
            calendar_days=len(days),
            weekend_days=len(days) - len(weekdays),
            holidays_on_weekdays=holidays,
        )

    async def sales_report(
        self,
        year: Annotated[int, Field(description=f"One of {', '.join(map(str, SALES))}")],
        context: Context[Any, Any],
    ) -> SalesReport:
        """Add up the revenue of a year by quarter."""
        if year not in SALES:
            raise ToolError(f"There are figures for {', '.join(map(str, SALES))} only.")
        for number in range(1, 5):
            await context.report_progress(number, 4, f"Adding up Q{number} {year}")
            await asyncio.sleep(PROGRESS_PAUSE_SECONDS)
        quarters = {f"Q{number}": amount for number, amount in enumerate(SALES[year], 1)}
        return SalesReport(year=year, currency="EUR", quarters=quarters, total=sum(quarters.values()))

    def draw_chart(
        self,
        title: Annotated[str, Field(max_length=80, description="The chart's title")],
        labels: Annotated[list[str], Field(min_length=1, max_length=MOST_BARS, description="One label for each bar")],
        values: Annotated[list[float], Field(min_length=1, max_length=MOST_BARS, description="One value for each bar")],
    ) -> list[Any]:
        """Draw a bar chart as a PNG image."""
        if len(labels) != len(values):
            raise ToolError(f"There are {len(labels)} labels for {len(values)} values.")
        if min(values) < 0:
            raise ToolError("Only values from zero upwards can be drawn.")
        drawing = Image(data=bar_chart(title, labels, values), format="png")
        return [f"Bar chart “{title}” with {len(values)} bars.", drawing]

    def create_note(
        self,
        title: Annotated[str, Field(min_length=1, max_length=80, description="A few words")],
        text: Annotated[str, Field(max_length=2000, description="What to remember")] = "",
    ) -> Note:
        """Write a new note. Every call adds another one."""
        created = datetime.now(ZoneInfo("UTC")).strftime("%Y-%m-%d %H:%M UTC")
        self.written += 1
        note = Note(id=self.written, title=title, text=text, created=created)
        self.notes.append(note)
        return note

    def list_notes(self) -> NoteList:
        """List the notes written so far, oldest first."""
        return NoteList(count=len(self.notes), notes=self.notes)

    def delete_note(self, number: Annotated[int, Field(description="The note's id, as listed")]) -> Note:
        """Delete a note for good."""
        for note in self.notes:
            if note.id == number:
                self.notes.remove(note)
                return note
        raise ToolError(f"There is no note {number}.")


def build() -> MCPServer:
    """The server with its tools."""
    server = MCPServer(
        "office-tools",
        title="Office tools",
        description="Time, sums, working days, catalogue, stock, sales and notes of a fictitious office supplier.",
        version="1.0",
        log_level="WARNING",
    )
    tools = OfficeTools()
    for function, title, annotations in (
        (tools.current_time, "Current time", READS),
        (tools.calculate, "Calculator", READS),
        (tools.convert_units, "Convert units", READS),
        (tools.search_products, "Search products", READS),
        (tools.get_stock, "Stock level", READS),
        (tools.public_holidays, "Public holidays", READS),
        (tools.working_days, "Working days", READS),
        (tools.sales_report, "Sales report", READS),
        (tools.create_note, "Create a note", ADDS),
        (tools.list_notes, "List notes", READS),
        (tools.delete_note, "Delete a note", DELETES),
    ):
        server.add_tool(function, title=title, annotations=annotations)
    server.add_tool(tools.draw_chart, title="Draw a chart", annotations=READS, structured_output=False)
    return server


def bar_chart(title: str, labels: list[str], values: list[float]) -> bytes:
    """A bar chart as the bytes of a PNG."""
    width, height, margin, base = 720, 400, 40, 350
    picture = Picture.new("RGB", (width, height), "#ffffff")
    draw = ImageDraw.Draw(picture)
    draw.text((margin, 18), title, font=ImageFont.load_default(22), fill="#2b2b33")
    small = ImageFont.load_default(15)
    slot = (width - 2 * margin) / len(values)
    highest = max(values) or 1
    for index, (label, value) in enumerate(zip(labels, values, strict=True)):
        left = margin + slot * (index + 0.15)
        right = margin + slot * (index + 0.85)
        top = base - (base - 100) * value / highest
        draw.rounded_rectangle((left, top, right, base), 6, fill="#714b67")
        draw.text(((left + right) / 2, top - 8), f"{value:,.0f}", font=small, fill="#2b2b33", anchor="ms")
        draw.text(((left + right) / 2, base + 12), label, font=small, fill="#5f5f6b", anchor="mt")
    draw.line((margin, base, width - margin, base), fill="#c9c9d1", width=2)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _mentions(text: str, words: list[str]) -> bool:
    return all(word in text.lower() for word in words)


def _zone_named(name: str) -> str:
    """The IANA zone of that name, or of the city of that name."""
    wanted = name.strip().lower().replace(" ", "_")
    zones = sorted(available_timezones())
    for zone in zones:
        if wanted in (zone.lower(), zone.lower().rpartition("/")[2]):
            return zone
    cities = {zone.rpartition("/")[2]: zone for zone in zones}
    close = [cities[city] for city in difflib.get_close_matches(wanted.title(), cities, 3)]
    raise ToolError(f"Unknown time zone {name!r}. " + _did_you_mean(close))


def _did_you_mean(names: list[str]) -> str:
    return f"Did you mean {', '.join(names)}?" if names else "Nothing has a similar name."


def _holiday(day: date, name: str) -> Holiday:
    return Holiday(date=day, weekday=day.strftime("%A"), name=name)


def main() -> None:
    options = demo_peer.arguments("The demo's MCP server.").parse_args()
    demo_peer.serve(build().streamable_http_app(), options.port, "/mcp")


if __name__ == "__main__":
    main()
