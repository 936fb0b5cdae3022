"""Trains a small network in PyTorch: train_torch.py ROWS.csv MODEL.onnx"""

import sys

import numpy as np
import torch
from torch import nn

import rows


class Network(nn.Module):
    """Scales its input itself, so that the file takes features as they come."""

    def __init__(self, mean, deviation):
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean))
        self.register_buffer("deviation", torch.from_numpy(deviation))
        self.layers = nn.Sequential(nn.Linear(len(mean), 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, row):
        return self.layers((row - self.mean) / self.deviation)


def main():
    source, target = sys.argv[1:3]
    torch.manual_seed(0)
    version, names, features, label, weight = rows.read(source)
    training, test = rows.split(len(label))
    mean, deviation = (array.astype(np.float32) for array in rows.scale(features[training]))
    network = Network(mean, deviation)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-2)
    data = torch.utils.data.TensorDataset(*(torch.from_numpy(array[training]) for array in (features, label, weight)))
    for _ in range(20):
        for row, truth, importance in torch.utils.data.DataLoader(data, batch_size=256, shuffle=True):
            optimiser.zero_grad()
            loss = nn.functional.binary_cross_entropy_with_logits(network(row)[:, 0], truth, importance)
            loss.backward()
            optimiser.step()
    whole = nn.Sequential(network, nn.Sigmoid()).eval()
    with torch.no_grad():
        said = whole(torch.from_numpy(features[test]))[:, 0].numpy()
    rows.report(said, label[test], weight[test], np.average(label[training], weights=weight[training]))
    example = torch.zeros(1, len(names))
    torch.onnx.export(whole, (example,), target, opset_version=18, input_names=["row"], output_names=["probability"], dynamo=True,
                      external_data=False)
    rows.stamp(target, version)


main()
