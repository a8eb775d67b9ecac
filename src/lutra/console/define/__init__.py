"""Tables and indexes by form: what was entered, the schemas it means, and what there is already."""
