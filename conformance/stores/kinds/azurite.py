"""Azurite: Azure Blob Storage, with blocks and shared access signatures."""

from rig import lab
from rig.link import Link
from rig.process import Process, free_port

NAME, LINK, SIGNS, CHECKS = "azurite", Link, True, True
VERSION = "3.37.0"
PACKAGES = ["azure-storage-blob==12.31.1"]
CONTAINER = "conformance"
# Azurite's own, which it publishes.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def start(place, link, packages):
    program = lab.npm_program("azurite", VERSION, "azurite-blob")
    port = free_port()
    # Today's clients speak a newer version of the protocol than it knows by name.
    options = ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location", place / "azurite"]
    return Process(NAME, [program, "--blobHost", "127.0.0.1", "--blobPort", str(port), *options], port, place / "azurite.log")


class Bucket:
    def __init__(self, server):
        from azure.storage.blob import ContainerClient

        account = f"{server.url}/{ACCOUNT}"
        said = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={account};"
        self.client = ContainerClient.from_connection_string(said, CONTAINER)
        self.client.create_container()

    def keys(self, prefix):
        return list(self.client.list_blob_names(name_starts_with=prefix))

    def read(self, key):
        return self.client.download_blob(key).readall()

    def write(self, key, data):
        self.client.upload_blob(key, data, overwrite=True)


def configuration(link, prefix):
    return f"""[storage.object]
url = "az://{CONTAINER}/{prefix}"
account = "{ACCOUNT}"
endpoint = "{link.url}/{ACCOUNT}"
secret_access_key = "{KEY}"
lookup_timeout = "200ms"
"""
