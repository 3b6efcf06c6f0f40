"""What every client's tools and forms are made of here: nested, so that more than flat arguments are met."""

import enum

from pydantic import BaseModel


class Unit(str, enum.Enum):
    celsius = "celsius"
    fahrenheit = "fahrenheit"


class Place(BaseModel):
    city: str
    country: str


class Forecast(BaseModel):
    """A forecast of the weather."""

    place: Place
    unit: Unit
    degrees: list[int]


OSLO = {"place": {"city": "Oslo", "country": "Norway"}, "unit": "celsius"}
ROME = {"place": {"city": "Rome", "country": "Italy"}, "unit": "celsius"}
FORECAST = {"place": {"city": "Oslo", "country": "Norway"}, "unit": "celsius", "degrees": [7, 9]}
