"""Trains a small network in TensorFlow: train_tensorflow.py ROWS.csv MODEL.onnx"""

import sys

import numpy as np
import tensorflow as tf
import tf2onnx

import rows


def network(width):
    return tf.keras.Sequential([
        tf.keras.Input((width,)),
        tf.keras.layers.Dense(32, activation="relu"),
        tf.keras.layers.Dense(1, activation="sigmoid"),
    ])


def main():
    source, target = sys.argv[1:3]
    tf.keras.utils.set_random_seed(0)
    version, names, features, label, weight = rows.read(source)
    training, test = rows.split(len(label))
    mean, deviation = rows.scale(features[training])
    scaled = (features - mean) / deviation
    model = network(len(names))
    model.compile(tf.keras.optimizers.AdamW(1e-3, weight_decay=1e-2), "binary_crossentropy")
    model.fit(scaled[training], label[training], sample_weight=weight[training], batch_size=256, epochs=20, verbose=0)
    # The file takes features as they come: what they are scaled by goes into the first layer.
    slope, shift, *rest = model.get_weights()
    whole = network(len(names))
    whole.set_weights([slope / deviation[:, None], shift - (mean / deviation) @ slope, *rest])
    said = whole.predict(features[test], verbose=0)[:, 0]
    rows.report(said, label[test], weight[test], np.average(label[training], weights=weight[training]))
    function = tf.function(lambda row: whole(row), input_signature=[tf.TensorSpec((1, len(names)), tf.float32, name="row")])
    tf2onnx.convert.from_function(function, input_signature=function.input_signature, opset=18, output_path=target)
    rows.stamp(target, version)


main()
