"""Public holidays of a few countries, by rule instead of by list, so that the demo is right in any year.

National holidays only; those of single regions are left out.
"""

from datetime import date, timedelta

_FIXED = {
    "BE": {
        (1, 1): "New Year's Day", (5, 1): "Labour Day", (7, 21): "National Day", (8, 15): "Assumption",
        (11, 1): "All Saints' Day", (11, 11): "Armistice Day", (12, 25): "Christmas Day",
    },
    "DE": {
        (1, 1): "New Year's Day", (5, 1): "Labour Day", (10, 3): "German Unity Day", (12, 25): "Christmas Day",
        (12, 26): "Second Christmas Day",
    },
    "FR": {
        (1, 1): "New Year's Day", (5, 1): "Labour Day", (5, 8): "Victory Day", (7, 14): "National Day",
        (8, 15): "Assumption", (11, 1): "All Saints' Day", (11, 11): "Armistice Day", (12, 25): "Christmas Day",
    },
    "IT": {
        (1, 1): "New Year's Day", (1, 6): "Epiphany", (4, 25): "Liberation Day", (5, 1): "Labour Day",
        (6, 2): "Republic Day", (8, 15): "Assumption", (11, 1): "All Saints' Day", (12, 8): "Immaculate Conception",
        (12, 25): "Christmas Day", (12, 26): "St Stephen's Day",
    },
    "LU": {
        (1, 1): "New Year's Day", (5, 1): "Labour Day", (5, 9): "Europe Day", (6, 23): "National Day",
        (8, 15): "Assumption", (11, 1): "All Saints' Day", (12, 25): "Christmas Day", (12, 26): "St Stephen's Day",
    },
}

# Days after Easter Sunday
_MOVABLE = {
    "BE": {1: "Easter Monday", 39: "Ascension Day", 50: "Whit Monday"},
    "DE": {-2: "Good Friday", 1: "Easter Monday", 39: "Ascension Day", 50: "Whit Monday"},
    "FR": {1: "Easter Monday", 39: "Ascension Day", 50: "Whit Monday"},
    "IT": {1: "Easter Monday"},
    "LU": {1: "Easter Monday", 39: "Ascension Day", 50: "Whit Monday"},
}


def holidays(country: str, year: int) -> dict[date, str]:
    """The public holidays of `country` (a key of the tables above) in `year`, in order."""
    easter = easter_sunday(year)
    fixed = {date(year, month, day): name for (month, day), name in _FIXED[country].items()}
    movable = {easter + timedelta(days=offset): name for offset, name in _MOVABLE[country].items()}
    return dict(sorted((movable | fixed).items()))


def easter_sunday(year: int) -> date:
    """Easter in the Gregorian calendar, by the anonymous algorithm (Meeus, Jones and Butcher)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def days_between(start: date, end: date) -> list[date]:
    """Every day from `start` to `end`, both included."""
    return [start + timedelta(days=offset) for offset in range((end - start).days + 1)]
