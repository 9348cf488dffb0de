"""What the demo's company sells, and what it sold: plain data, so that every answer can be checked by hand."""

from decimal import Decimal

from pydantic import BaseModel


class Product(BaseModel):
    """An article of the catalogue; prices in EUR without VAT."""

    sku: str
    name: str
    category: str
    price: Decimal
    description: str


class Stock(BaseModel):
    """How many pieces of an article lie where."""

    sku: str
    name: str
    brussels: int
    lyon: int
    total: int
    next_delivery: str  # ISO date; empty where nothing is on order


def _product(sku: str, name: str, category: str, price: str, description: str) -> Product:
    return Product(sku=sku, name=name, category=category, price=Decimal(price), description=description)


PRODUCTS = (
    _product("DSK-140", "Nordic desk 140", "desks", "289.00", "Fixed-height desk, oiled oak top, 140 × 70 cm."),
    _product("DSK-160S", "Lift desk 160", "desks", "549.00", "Sit-stand desk with two motors, 160 × 80 cm, 62–128 cm."),
    _product("DSK-120C", "Corner desk 120", "desks", "219.00", "Compact corner desk, white laminate, 120 × 120 cm."),
    _product("DSK-FOLD", "Folding desk", "desks", "129.00", "Folds flat to 7 cm, for small rooms, 100 × 50 cm."),
    _product("CHR-ERGO", "Ergo task chair", "chairs", "329.00", "Mesh back, adjustable lumbar support and armrests."),
    _product("CHR-CONF", "Conference chair", "chairs", "149.00", "Stackable chair with a padded seat, four colours."),
    _product("CHR-STOOL", "Active stool", "chairs", "119.00", "Tilting stool, 55–80 cm, washable cover."),
    _product("STO-CAB2", "Filing cabinet, 2 drawers", "storage", "179.00", "Lockable steel cabinet for A4 folders."),
    _product("STO-SHELF", "Wall shelf, oak", "storage", "59.00", "Floating shelf, 90 × 24 cm, carries 15 kg."),
    _product("STO-LOCK6", "Locker, 6 doors", "storage", "489.00", "Ventilated lockers with combination locks."),
    _product("LGT-DESK", "Desk lamp, dimmable", "lighting", "69.00", "LED, 2700–5000 K, with a USB-C port."),
    _product("LGT-FLOOR", "Floor lamp, uplight", "lighting", "199.00", "Indirect light for a whole office, 9000 lm."),
    _product("ACC-ARM2", "Monitor arm, double", "accessories", "139.00", "Two monitors up to 32 inches, gas springs."),
    _product("ACC-PANEL", "Acoustic desk panel", "accessories", "99.00", "Felt panel of recycled PET, 160 × 40 cm."),
    _product("ACC-CABLE", "Cable tray", "accessories", "24.90", "Steel tray below the desk top, 80 cm."),
)

# (Brussels, Lyon, next delivery)
_STOCK = {
    "DSK-140": (14, 6, ""),
    "DSK-160S": (3, 9, "2026-12-02"),
    "DSK-120C": (0, 2, "2026-12-09"),
    "DSK-FOLD": (31, 12, ""),
    "CHR-ERGO": (8, 0, "2026-11-30"),
    "CHR-CONF": (64, 40, ""),
    "CHR-STOOL": (5, 5, ""),
    "STO-CAB2": (0, 0, "2027-01-11"),
    "STO-SHELF": (22, 18, ""),
    "STO-LOCK6": (2, 1, "2026-12-15"),
    "LGT-DESK": (47, 35, ""),
    "LGT-FLOOR": (6, 0, "2026-12-04"),
    "ACC-ARM2": (11, 7, ""),
    "ACC-PANEL": (0, 16, "2026-12-01"),
    "ACC-CABLE": (120, 80, ""),
}

# Revenue in EUR by year and quarter
SALES = {
    2024: (182_400, 205_150, 191_300, 243_800),
    2025: (207_900, 231_600, 224_450, 281_200),
    2026: (238_700, 262_300, 251_900, 148_600),
}


def stock_of(product: Product) -> Stock:
    """The stock of one article, over both warehouses."""
    brussels, lyon, next_delivery = _STOCK[product.sku]
    return Stock(
        sku=product.sku, name=product.name, brussels=brussels, lyon=lyon, total=brussels + lyon,
        next_delivery=next_delivery,
    )
