"""Harbinger, with its defaults but for the access log, which no other mirror of the comparison writes either."""

from .. import lab
from ..process import Process, free_port

NAME = "harbinger"


def start(place, setting):
    port = free_port()
    file = place / "harbinger.toml"
    file.write_text(configuration(place, setting, port))
    return Process(NAME, [lab.harbinger(), "serve", "--config", file], port, place / "log")


def configuration(place, setting, port):
    user = ""
    if setting.credentials:
        name, password = setting.credentials
        user = f'mode = "shared"\nusername = "{name}"\npassword = "{password}"\n'
    second = ""
    if setting.second:
        second = f'[[upstream]]\nname = "second.test"\nurl = "{setting.second}"\n'
    return f"""[server]
listen = "127.0.0.1:{port}"

[cache]
tag_ttl = "{setting.fresh_seconds}s"
list_ttl = "{setting.fresh_seconds}s"

[storage]
data = "{place / 'data'}"

[logging]
level = "warn"
access = "off"

[[upstream]]
name = "docker.io"
url = "{setting.origin}"
# Redirects of the scripted registry lead to another address of loopback.
allow_private_addresses = true
{user}
{second}"""
