"""nginx with `proxy_cache`, tuned: two workers, sendfile, cache of open files, no access log, one request per cold key, stale
answers in an outage, identity bytes from the registry, and the source host (`ns`) looked up in a map."""

import base64
from urllib.parse import urlsplit

from .. import lab
from ..process import Process, free_port

NAME = "nginx"


def start(place, setting):
    lab.debian(nginx="nginx-light")
    port = free_port()
    file = place / "nginx.conf"
    file.write_text(configuration(place, setting, port))
    return Process(NAME, ["nginx", "-p", place, "-e", place / "error.log", "-c", file], port, place / "log")


def configuration(place, setting, port):
    user = ""
    if setting.credentials:
        user = f'proxy_set_header Authorization "Basic {base64.b64encode(":".join(setting.credentials).encode()).decode()}";'
    second, choice = "", ""
    if setting.second:
        second = f"upstream second {{ server {urlsplit(setting.second).netloc}; keepalive 64; }}"
        choice = "second.test second;"
    temporary = " ".join(f"{kind}_temp_path {place}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"""worker_processes 2; daemon off; user root; pid {place}/pid;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 1000000; open_file_cache max=2000 inactive=60s;
  {temporary}
  proxy_cache_path {place}/cache levels=1:2 keys_zone=reg:50m max_size=20g inactive=7d use_temp_path=off;
  upstream first {{ server {urlsplit(setting.origin).netloc}; keepalive 64; }}
  {second}
  map $arg_ns $registry {{ default ""; "" first; docker.io first; {choice} }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    if ($registry = "") {{ return 404; }}
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
    proxy_set_header Accept-Encoding identity; {user}
    proxy_cache reg; proxy_cache_lock on; proxy_cache_lock_age 600s; proxy_cache_lock_timeout 600s; proxy_cache_revalidate on;
    proxy_cache_use_stale error timeout updating http_500 http_502 http_503 http_504 http_429;
    proxy_ignore_headers Cache-Control Expires Set-Cookie; proxy_max_temp_file_size 0;
    location = /v2/ {{ proxy_cache off; proxy_pass http://$registry; }}
    location ~ ^/v2/.+/blobs/ {{
      proxy_cache_key $registry$uri; proxy_cache_valid 200 30d; proxy_pass http://$registry;
    }}
    location ~ ^/v2/.+/manifests/sha256: {{
      proxy_cache_key $registry$uri|$http_accept; proxy_cache_valid 200 30d; proxy_pass http://$registry;
    }}
    location ~ ^/v2/.+/(manifests/|tags/list$) {{
      proxy_cache_key $registry$uri|$args|$http_accept; proxy_cache_valid 200 {setting.fresh_seconds}s; proxy_pass http://$registry;
    }}
    location / {{ proxy_cache off; proxy_pass http://$registry; }}
  }}
}}
"""
