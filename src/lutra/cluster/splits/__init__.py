"""How one partition becomes two, without copying what it has."""
