"""distribution 3.1.1 as a pull-through cache, with its descriptor cache in memory. It mirrors one registry per process."""

from .. import lab
from ..process import Process, free_port

NAME = "distribution"
MODULE, VERSION = "github.com/distribution/distribution/v3/cmd/registry", "v3.1.1"


def start(place, setting):
    port = free_port()
    file = place / "config.yml"
    file.write_text(configuration(place, setting, port))
    # Its default is to send traces to a collector, which nobody runs here.
    quiet = {"OTEL_TRACES_EXPORTER": "none"}
    return Process(NAME, [lab.go_program(NAME, MODULE, VERSION), "serve", file], port, place / "log", env=quiet)


def configuration(place, setting, port):
    user = ""
    if setting.credentials:
        name, password = setting.credentials
        user = f"  username: {name}\n  password: {password}\n"
    return f"""version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  cache: {{blobdescriptor: inmemory}}
  filesystem: {{rootdirectory: {place / 'data'}, maxthreads: 100}}
http: {{addr: "127.0.0.1:{port}"}}
proxy:
  remoteurl: {setting.origin}
{user}"""
