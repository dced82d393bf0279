"""The methods, one file a paper. A new one is a file and a line here."""

from ..method import Method
from .prosona import ProSona

METHODS: dict[str, type[Method]] = {"prosona": ProSona}
