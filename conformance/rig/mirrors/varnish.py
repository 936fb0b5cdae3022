"""Varnish with 4 GB of memory: streams while it fetches, serves stale for a day, routes by the source host (`ns`)."""

import base64
from urllib.parse import urlsplit

from .. import lab
from ..process import Process, free_port

NAME = "varnish"


def start(place, setting):
    lab.debian(varnishd="varnish")
    port = free_port()
    file = place / "mirror.vcl"
    file.write_text(configuration(setting))
    command = ["varnishd", "-F", "-n", place / "run", "-a", f"127.0.0.1:{port}", "-f", file, "-s", "malloc,4g", "-j", "none"]
    return Process(NAME, command, port, place / "log")


def configuration(setting):
    user = ""
    if setting.credentials:
        user = f'set bereq.http.Authorization = "Basic {base64.b64encode(":".join(setting.credentials).encode()).decode()}";'
    second, choice = "", ""
    if setting.second:
        second = backend("second", setting.second)
        choice = 'elsif (req.url ~ "[?&]ns=second\\.test(&|$)") { set req.backend_hint = second; }'
    return f"""vcl 4.1;
{backend("first", setting.origin)}
{second}
sub vcl_recv {{
  if (req.url !~ "[?&]ns=" || req.url ~ "[?&]ns=docker\\.io(&|$)") {{ set req.backend_hint = first; }}
  {choice}
  else {{ return (synth(404)); }}
  if (req.method != "GET" && req.method != "HEAD") {{ return (pass); }}
  if (req.url == "/v2/") {{ return (pass); }}
  return (hash);
}}
sub vcl_hash {{
  hash_data(req.url);
  if (req.url ~ "/manifests/") {{ hash_data(req.http.Accept); }}
  return (lookup);
}}
sub vcl_backend_fetch {{ unset bereq.http.Accept-Encoding; {user} }}
sub vcl_backend_response {{
  if ((beresp.status == 429 || beresp.status >= 500) && bereq.is_bgfetch) {{ return (abandon); }}
  set beresp.do_stream = true;
  if (beresp.status == 200) {{
    if (bereq.url ~ "/manifests/[^/:?]+(\\?|$)" || bereq.url ~ "/tags/list") {{ set beresp.ttl = {setting.fresh_seconds}s; }}
    else {{ set beresp.ttl = 30d; }}
    set beresp.grace = 1d;
  }} else {{ set beresp.uncacheable = true; set beresp.ttl = 0s; }}
}}
"""


def backend(name, url):
    host, port = urlsplit(url).netloc.split(":")
    return f'backend {name} {{ .host = "{host}"; .port = "{port}"; .max_connections = 200; }}'
