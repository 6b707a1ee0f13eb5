"""The words that the sample's data is made of."""

from __future__ import annotations

from typing import NamedTuple


class City(NamedTuple):
    """A city with a depot: where it is and what its streets and postal codes look like."""

    depot: str
    name: str
    country: str
    dialling: str
    postal_code: str
    latitude: float
    longitude: float
    streets: tuple[str, ...]


# In a postal code every # stands for a digit and every @ for a letter; in a street # is the number.
CITIES = (
    City("HAM", "Hamburg", "DE", "+49 40", "2####", 53.5511, 9.9937,
         ("Speicherweg #", "Am Krähenkai #", "Lange Twiete #", "Reiherdamm #")),
    City("RTM", "Rotterdam", "NL", "+31 10", "30## @@", 51.9244, 4.4777,
         ("Havenstraat #", "Molenkade #", "Oude Werf #", "Zalmplein #")),
    City("LYS", "Lyon", "FR", "+33 4", "6900#", 45.7640, 4.8357,
         ("# rue des Tanneurs", "# quai du Vieux Port", "# impasse de l’Écluse")),
    City("GDN", "Gdańsk", "PL", "+48 58", "80-###", 54.3520, 18.6466,
         ("ul. Żurawia #", "ul. Bursztynowa #", "ul. Nad Kanałem #")),
    City("GOT", "Göteborg", "SE", "+46 31", "41# ##", 57.7089, 11.9746,
         ("Sillgatan #", "Ångkvarnsvägen #", "Norra Hamngränd #")),
    City("MIL", "Milano", "IT", "+39 02", "201##", 45.4642, 9.1900,
         ("Via dei Carrettieri #", "Viale della Dogana #", "Via San Giobbe #")),
    City("VIE", "Wien", "AT", "+43 1", "1##0", 48.2082, 16.3738,
         ("Fuhrmanngasse #", "Am Alten Zollamt #", "Weinheberweg #")),
    City("OPO", "Porto", "PT", "+351 22", "4###-###", 41.1579, -8.6291,
         ("Rua das Barcas #", "Travessa do Cais #", "Rua da Tanoaria #")),
    City("BRQ", "Brno", "CZ", "+420 5", "6## ##", 49.1951, 16.6068,
         ("Vozová #", "U Staré pošty #", "Příčná #")),
    City("AAR", "Aarhus", "DK", "+45 86", "8###", 56.1629, 10.2039,
         ("Pakhusvej #", "Østre Kaj #", "Smedegyde #")),
    City("BIO", "Bilbao", "ES", "+34 94", "480##", 43.2630, -2.9350,
         ("Calle del Astillero #", "Muelle Viejo #", "Calle Ferrería #")),
    City("ORK", "Cork", "IE", "+353 21", "T## @@##", 51.8985, -8.4756,
         ("# Coopers Lane", "# Merchant’s Slip", "# Old Tannery Road")),
)  # fmt: skip

FIRST_NAMES = (
    "Agnieszka", "Aoife", "Bálint", "Birgit", "Carlos", "Chloé", "Dario", "Ebba", "Emre", "Fiona",
    "Giulia", "Håkon", "Inês", "Jan", "Jiří", "Karin", "Lars", "Léa", "Łukasz", "Maite", "Marek",
    "Nadia", "Niamh", "Ondřej", "Paula", "Pieter", "Rasmus", "Rosa", "Søren", "Tomás", "Ursula",
    "Veronika", "Wim", "Yusuf", "Zofia",
)  # fmt: skip

LAST_NAMES = (
    "Almeida", "Andersson", "Bakker", "Bernard", "Byrne", "Castellani", "Černý", "de Wit", "Demir",
    "Echeverría", "Fischer", "Gallo", "Grünwald", "Hoekstra", "Horvath", "Jensen", "Kowalczyk",
    "Lindqvist", "Marchetti", "Meyer", "Moreau", "Müller", "Nováková", "O’Brien", "O'Sullivan",
    "Østergaard", "Pereira", "Rossi", "Schäfer", "Sjöberg", "Szymański", "Ugarte", "van den Berg",
    "Vasseur", "Wagner", "Zieliński",
)  # fmt: skip

TRADES = (
    "Bakery", "Books", "Boatyard", "Brewery", "Ceramics", "Clinic", "Coffee Roasters", "Cycles",
    "Garden Centre", "Hardware", "Hotel", "Instruments", "Pharmacy", "Printing", "School Supplies",
    "Seafood", "Textiles", "Wine Merchants",
)  # fmt: skip

COMPANY_FORMS = {
    "AT": "GmbH", "CZ": "s.r.o.", "DE": "GmbH & Co. KG", "DK": "A/S", "ES": "S.L.", "FR": "SARL",
    "IE": "Ltd", "IT": "S.r.l.", "NL": "B.V.", "PL": "sp. z o.o.", "PT": "Lda.", "SE": "AB",
}  # fmt: skip

VEHICLES = (
    ("BIKE", "Lastrad", "Kurier 2", 120, 5_900),
    ("VAN", "Fjord", "Kasten L", 980, 34_500),
    ("VAN", "Vega", "Cargo 300", 1_150, 38_900),
    ("VAN", "Vega", "e-Cargo", 890, 47_200),
    ("TRUCK", "Norrland", "N18", 9_500, 96_000),
    ("TRUCK", "Tauern", "T26", 15_800, 128_000),
    ("TRAILER", "Kippel", "Curtain 13.6", 24_000, 31_700),
)
"""Kind, make, model, payload in kilograms, price in euro."""

CATEGORIES = (
    ("Food", None), ("Household", None), ("Industry", None), ("Office", None),
    ("Dry goods", "Food"), ("Chilled", "Food"), ("Drinks", "Food"), ("Cheese", "Chilled"),
    ("Kitchen", "Household"), ("Garden", "Household"), ("Bathroom", "Household"),
    ("Fasteners", "Industry"), ("Tools", "Industry"), ("Machine parts", "Industry"),
    ("Paper", "Office"), ("Furniture", "Office"),
)  # fmt: skip
"""Name and parent, parents first."""

GOODS = (
    ("Rye flour", "Dry goods", 890, 10.0), ("Durum pasta", "Dry goods", 1450, 6.0),
    ("Red lentils", "Dry goods", 1190, 5.0), ("Sea salt, coarse", "Dry goods", 640, 5.0),
    ("Farmhouse butter", "Chilled", 3120, 4.0), ("Smoked trout", "Chilled", 4890, 2.5),
    ("Mountain cheese", "Cheese", 7450, 5.5), ("Goat’s cheese log", "Cheese", 2890, 1.2),
    ("Elderflower cordial", "Drinks", 1990, 7.2), ("Apple juice", "Drinks", 1290, 12.5),
    ("Alcohol-free ale", "Drinks", 2640, 15.0), ("Green coffee beans", "Drinks", 8900, 30.0),
    ("Cast-iron pan 28 cm", "Kitchen", 4450, 3.1), ("Chopping board, beech", "Kitchen", 2250, 1.4),
    ("Storage jars", "Kitchen", 1890, 2.8), ("Tea towels", "Kitchen", 1240, 0.6),
    ("Watering can 10 l", "Garden", 2790, 1.1), ("Pruning shears", "Garden", 3390, 0.4),
    ("Peat-free compost", "Garden", 1150, 18.0), ("Bath mat", "Bathroom", 2150, 0.9),
    ("Olive soap", "Bathroom", 1680, 2.0), ("Hex bolts M8×40", "Fasteners", 1320, 4.2),
    ("Washers 8,4 mm", "Fasteners", 480, 1.5), ("Threaded rod 1 m", "Fasteners", 760, 0.4),
    ("Claw hammer", "Tools", 2390, 0.8), ('Torque wrench 1/2"', "Tools", 8990, 1.9),
    ("Hand saw", "Tools", 1890, 0.5), ("Ball bearing 6204", "Machine parts", 590, 0.1),
    ("V-belt A 42", "Machine parts", 890, 0.2), ("Gear motor 0,37 kW", "Machine parts", 21900, 9.8),
    ("Hydraulic hose", "Machine parts", 3450, 2.2), ("Copy paper A4", "Paper", 2250, 12.5),
    ("Envelopes C5", "Paper", 1790, 4.5), ("Label rolls", "Paper", 3190, 3.8),
    ("Desk, oak 160 cm", "Furniture", 38900, 34.0), ("Swivel chair", "Furniture", 24900, 16.5),
    ("Filing cabinet", "Furniture", 18900, 28.0), ("Desk lamp", "Furniture", 5490, 1.7),
)  # fmt: skip
"""Name, category, price in cents, weight in kilograms."""

VARIANTS = (
    "", "box of 6", "box of 12", "half pallet", "pallet", "second choice", "blue", "green",
    "gift box", "export", "new recipe", "end of line",
)  # fmt: skip

TAGS = (
    "fragile", "chilled", "heavy", "organic", "hazardous", "new", "bulky", "keep upright",
)  # fmt: skip

ORDER_NOTES = (
    "Ring twice, the bell is slow.",
    "Leave with the neighbour on the left if nobody is in.",
    "Ramp 3, behind the mill. Forklift until 16:00.",
    "Please call half an hour before arrival.",
    "Deliver before the shop opens\nKey is in the box by the back door",
    "The customer says “no plastic” and means it.",
    "Height limit 2,80 m in the courtyard!",
    "Two crates came back broken last time; check before signing.",
    "Invoice goes to head office, not to this address.",
    "Gate code 4711#\tlift code 09",
    "Fragile & heavy: two people needed.",
    "Return empties (8) on the way back.",
)

CUSTOMER_NOTES = (
    "Pays late, but pays.",
    "Prefers e-mail. Never phone before ten.",
    "Moved in spring; old address may still be on some labels.",
    "Asked for a quote for daily rounds.\n\nSecond talk in autumn.",
    "Has a standing order every other Tuesday.",
)

TASKS = {
    "Pickup": ("Fetch pallets", "Collect returns", "Pick up empties", "Fetch samples"),
    "Delivery": ("Deliver second half", "Redeliver after 18:00", "Bring the missing carton"),
    "Maintenance": ("Change winter tyres", "Check brakes", "Replace wiper blades", "Book service"),
    "Paperwork": (
        "Send proof of delivery",
        "Correct the invoice",
        "File customs form",
        "Renew pass",
    ),
    "Archived": ("Old: fetch pallets", "Old: correct the invoice", "Old: check brakes"),
}

TASK_DETAILS = (
    "Agreed by phone; nothing in writing yet.",
    "Take the small lift, the big one is out of order.\nAsk for Mrs Gallo at the desk.",
    "See the photo with the documents of the order.",
)

AIRLINES = (("ND", "391"), ("QE", "604"), ("VX", "887"))
"""Made-up designator and waybill prefix."""
