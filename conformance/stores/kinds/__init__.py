"""The object stores: each a server that others wrote, started here, with a bucket that the cases look into behind the edges' backs.

A kind has `NAME`, `LINK` (the class of what stands before it), `SIGNS` (it can be reached by signed URLs), `CHECKS` (it refuses wrong
signatures), `PACKAGES` (of Python, to look into the bucket), `start(place, link, packages)`, which gives a process,
`Bucket(server)`, and `configuration(link, prefix)`, the lines of an edge that tell it of the bucket.
"""

from . import azurite, fake_gcs, moto, s3s_fs

ALL = {kind.NAME: kind for kind in (moto, s3s_fs, azurite, fake_gcs)}
