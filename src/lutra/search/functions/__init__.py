"""Functions of a row that scores are made of, a module each: how one is checked, and what it says in a part.

A new kind is a new module, named here so that it is there.
"""

from lutra.search.functions import decay, field_value, random
from lutra.search.functions.function import Function, Said, bind_function

__all__ = ["Function", "Said", "bind_function", "decay", "field_value", "random"]
