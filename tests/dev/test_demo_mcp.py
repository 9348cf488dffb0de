"""The demo's MCP server, over a real socket with the SDK's own client, and what its tools work out."""

import asyncio
from datetime import date
from decimal import Decimal

import pytest
from mcp import Client

from dev import demo_mcp
from dev.demo_calendar import easter_sunday, holidays
from dev.demo_sums import BadInput, convert, evaluate, plain
from tests.dev.peers import running


@pytest.fixture(scope="module")
def url():
    with running("dev.demo_mcp") as url:
        yield url


def call(url, tool, **arguments):
    async def once():
        async with Client(url) as client:
            return await client.call_tool(tool, arguments)

    return asyncio.run(once())


def test_every_tool_has_a_title_a_description_and_hints_of_what_it_may_do(url):
    async def listed():
        async with Client(url) as client:
            return (await client.list_tools()).tools

    tools = {tool.name: tool for tool in asyncio.run(listed())}
    assert len(tools) == 12
    assert all(tool.title and tool.description for tool in tools.values())
    writing = {name for name, tool in tools.items() if not tool.annotations.read_only_hint}
    assert writing == {"create_note", "delete_note"}
    assert tools["delete_note"].annotations.destructive_hint is True
    assert tools["create_note"].annotations.idempotent_hint is False
    parameters = [schema for tool in tools.values() for schema in tool.input_schema["properties"].values()]
    assert all(schema["description"] for schema in parameters)


def test_the_clock_takes_a_zone_or_a_city(url):
    assert call(url, "current_time", time_zone="tokyo").structured_content["time_zone"] == "Asia/Tokyo"
    brussels = call(url, "current_time", time_zone="Europe/Brussels").structured_content
    assert brussels["utc_offset"] in ("+01:00", "+02:00")


def test_a_mistake_is_an_error_that_says_what_would_have_worked(url):
    result = call(url, "get_stock", sku="DSK-14")
    assert result.is_error
    assert "Did you mean DSK-140" in result.content[0].text


def test_a_search_goes_by_category_or_else_by_words(url):
    def names(**criteria):
        return [product["name"] for product in call(url, "search_products", **criteria).structured_content["products"]]

    assert names(query="desks", max_price=250) == ["Corner desk 120", "Folding desk"]
    assert names(query="monitor arm") == ["Monitor arm, double"]
    assert len(names()) == 15
    assert names(query="spaceship") == []


def test_working_days_leave_out_weekends_and_holidays(url):
    days = call(url, "working_days", start="2026-12-21", end="2027-01-03", country="BE").structured_content
    assert (days["working_days"], days["weekend_days"]) == (8, 4)
    assert [holiday["name"] for holiday in days["holidays_on_weekdays"]] == ["Christmas Day", "New Year's Day"]


def test_a_report_tells_its_progress(url):
    seen = []

    async def progressed(progress, total, message):
        seen.append((progress, total))

    async def report():
        async with Client(url) as client:
            return await client.call_tool("sales_report", {"year": 2025}, progress_callback=progressed)

    assert asyncio.run(report()).structured_content["total"] == 945_150
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_chart_is_a_png_image(url):
    text, image = call(url, "draw_chart", title="Sales", labels=["Q1", "Q2"], values=[1, 2]).content
    assert "2 bars" in text.text
    assert image.mime_type == "image/png"


def test_a_chart_of_nothing_but_zeros_can_be_drawn():
    assert demo_mcp.bar_chart("Nothing", ["a", "b"], [0, 0]).startswith(b"\x89PNG")


def test_every_call_writes_another_note(url):
    before = call(url, "list_notes").structured_content["count"]
    call(url, "create_note", title="One")
    call(url, "create_note", title="One")
    assert call(url, "list_notes").structured_content["count"] == before + 2


def test_a_note_is_deleted_once_and_its_number_never_comes_again(url):
    number = call(url, "create_note", title="One").structured_content["id"]
    assert call(url, "delete_note", number=number).structured_content["id"] == number
    assert call(url, "delete_note", number=number).is_error
    assert call(url, "create_note", title="Another").structured_content["id"] == number + 1


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("0.1 + 0.2", "0.3"),
        ("(289 * 12) * 0.9", "3121.2"),
        ("2 ** 10 - -1", "1025"),
        ("round(10 / 3, 2)", "3.33"),
        ("max(1, sqrt(16), 3)", "4"),
    ],
)
def test_sums_are_exact(expression, value):
    assert plain(evaluate(expression)) == value


@pytest.mark.parametrize(
    "expression",
    ["", "1 +", "1 / 0", "9 ** 9 ** 9", "__import__('os')", "(1).real", "'a' * 9", "True", "[1]", "1" * 201],
)
def test_only_arithmetic_is_evaluated(expression):
    with pytest.raises(BadInput):
        evaluate(expression)


@pytest.mark.parametrize(
    ("value", "source", "target", "result"),
    [("26.2", "miles", "km", "42.164813"), ("72", "F", "celsius", "22.222222"), ("1", "GiB", "MiB", "1024"),
     ("0", "C", "K", "273.15"), ("3", "feet", "in", "36")],
)  # fmt: skip
def test_units_convert_by_symbol_and_by_name(value, source, target, result):
    assert plain(convert(Decimal(value), source, target)) == result


@pytest.mark.parametrize(("source", "target"), [("kg", "km"), ("parsec", "m")])
def test_units_that_do_not_fit_are_refused(source, target):
    with pytest.raises(BadInput):
        convert(Decimal(1), source, target)


@pytest.mark.parametrize(
    "easter", [date(2024, 3, 31), date(2026, 4, 5), date(2027, 3, 28), date(2038, 4, 25)]
)
def test_easter_is_where_the_calendar_has_it(easter):
    assert easter_sunday(easter.year) == easter


def test_two_holidays_on_one_day_are_one_day_off():
    assert len(holidays("FR", 2008)) == 10  # Ascension Day fell on 1 May
