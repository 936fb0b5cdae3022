"""The registries that are pushed to, each as it is shipped but for its access log."""

from contextlib import contextmanager

from rig import lab
from rig.mirrors import distribution as mirror
from rig.process import Process, free_port

NAMES = ["harbinger", "distribution"]


@contextmanager
def start(name):
    place = lab.folder("pushes", name, fresh=True)
    server = {"harbinger": harbinger, "distribution": distribution}[name](place, free_port())
    try:
        yield server.wait_open()
    finally:
        server.stop()


def harbinger(place, port):
    file = place / "harbinger.toml"
    file.write_text(
        f'[server]\nlisten = "127.0.0.1:{port}"\n[storage]\ndata = "{place / "data"}"\n[logging]\nlevel = "warn"\naccess = "off"\n'
    )
    return Process("harbinger", [lab.harbinger(), "serve", "--config", file], port, place / "log")


def distribution(place, port):
    file = place / "config.yml"
    file.write_text(
        f"""version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  cache: {{blobdescriptor: inmemory}}
  filesystem: {{rootdirectory: {place / 'data'}, maxthreads: 100}}
http: {{addr: "127.0.0.1:{port}"}}
"""
    )
    program = lab.go_program(mirror.NAME, mirror.MODULE, mirror.VERSION)
    return Process("distribution", [program, "serve", file], port, place / "log", env={"OTEL_TRACES_EXPORTER": "none"})
