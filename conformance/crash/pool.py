"""What is pushed: pools of blobs and of manifests over them, the same for the same seed."""

import json

from rig import content


class Pool:
    """Blobs, and images and artifacts over them. Several repositories share one pool, so that the same bytes are pushed to
    one while they are deleted from another."""

    def __init__(self, name, draw, blobs=14, manifests=8):
        self.name = name
        self.blobs = {}
        self.manifests = {}
        self.subject = None
        if blobs:
            self.more(draw, blobs - 1)
            self.keep(b"{}" + name.encode())
        if manifests:
            self._compose(draw, manifests)

    def more(self, draw, number, least=2):
        """Draws further blobs of `2 ** least` bytes to half a MiB: mostly small ones."""
        return [self.keep(draw.randbytes(int(2 ** draw.uniform(least, 19)))) for _ in range(number)]

    def keep(self, data):
        name = content.digest(data)
        self.blobs[name] = data
        return name

    def parts(self, manifest):
        """The digests that a manifest needs to be taken."""
        told = json.loads(self.manifests[manifest])
        return {told["config"]["digest"], *(layer["digest"] for layer in told["layers"])}

    def artifacts(self):
        """The manifests that refer to the pool's subject."""
        return {name for name, data in self.manifests.items() if b'"subject"' in data}

    def _compose(self, draw, number):
        *layers, config = self.blobs.values()
        images = [content.image(draw.sample(layers, draw.randint(1, 3)), config) for _ in range(number - 2)]
        self.subject = content.digest(images[0])
        subject = content.descriptor(images[0], content.MANIFEST)
        images += [content.image(draw.sample(layers, 1), config, subject=subject) for _ in range(2)]
        self.manifests = {content.digest(data): data for data in images}
