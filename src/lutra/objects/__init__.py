"""Objects, whole and immutable, by name, behind one small seam (`store`): a local folder (`local`) or S3 (`s3`).

`manifest_log` says in numbered objects what there is, and lets one writer win.
"""
