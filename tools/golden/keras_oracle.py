#!/usr/bin/python3
"""Published Keras weights as an oracle: a forward pass in numpy that shares no code with backline.

    keras_oracle.py FOLDER [CHORALES.json]

FOLDER holds the Arranger's checkpoints (github.com/salu133445/arranger, MIT licence): the parts of Bach chorales from pitches
and times. Writes tests/golden/arranger.txt, for each checkpoint its logits for a few notes. With CHORALES.json (sixteenth notes
of four separated voices, per piece a list of [soprano, alto, tenor, bass]) it also prints how many notes of the test
set each model gives to the right voice: a wrong gate order or mask would show there. Architecture as in
arranger/lstm/model.py and arranger/transformer/model.py of that repository: three layers, 8 heads, layer norms with epsilon
1e-3 (LSTM) and 1e-6 (transformer)."""
import json
import sys

import h5py
import numpy as np

MODELS = ["lstm_default", "lstm_bidirectional", "transformer_default", "transformer_lookahead"]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class Model:
    def __init__(self, path):
        self.w = {}
        with h5py.File(path, "r") as f:
            f.visititems(lambda n, d: self.w.__setitem__(n, d[()].astype(np.float64)) if isinstance(d, h5py.Dataset) else None)
        self.root = "lstm_arranger/lstm_arranger" if "lstm" in path else "transformer_arranger/transformer_arranger"

    def get(self, name):
        return self.w["%s/%s:0" % (self.root, name)]

    def dense(self, x, name):
        return x @ self.get(name + "/kernel") + self.get(name + "/bias")

    def norm(self, x, name, eps):
        d = x - x.mean(-1, keepdims=True)
        return d / np.sqrt((d * d).mean(-1, keepdims=True) + eps) * self.get(name + "/gamma") + self.get(name + "/beta")

    def inputs(self, time, pitch):
        table = {k: self.get("input_layer/%s/embeddings" % k) for k in
                 ("pitch_embedding", "time_embedding_position", "time_embedding_beat", "frequency_mapping")}
        return np.concatenate([table["pitch_embedding"][pitch], table["time_embedding_position"][time % 24],
                               table["time_embedding_beat"][np.clip(time // 24, 0, 4096)], table["frequency_mapping"][pitch]], -1)

    def lstm(self, x, name):
        kernel, recurrent, bias = (self.get(name + "/" + n) for n in ("kernel", "recurrent_kernel", "bias"))
        H = recurrent.shape[0]
        h, c, out = np.zeros(H), np.zeros(H), []
        for row in x @ kernel + bias:
            z = row + h @ recurrent
            c = sigmoid(z[H:2 * H]) * c + sigmoid(z[:H]) * np.tanh(z[2 * H:3 * H])
            h = sigmoid(z[3 * H:]) * np.tanh(c)
            out.append(h)
        return np.array(out)

    def attention(self, x, names, visible):
        q, k, v = (self.dense(x, n).reshape(len(x), 8, -1).transpose(1, 0, 2) for n in names[:3])
        score = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[2])
        y = softmax(np.where(visible, score, -1e9)) @ v
        return self.dense(y.transpose(1, 0, 2).reshape(len(x), -1), names[3])


class Lstm(Model):
    def __call__(self, time, pitch):
        x = self.inputs(time, pitch)
        both = any("bidirectional" in n for n in self.w)
        for i in range(3):
            if both:
                base = "lstm/bidirectional" + ("" if i == 0 else "_%d" % i)
                forward = self.lstm(x, "%s/forward_lstm_%d/lstm_cell_%d" % (base, 4 + i, 4 + 3 * i))
                backward = self.lstm(x[::-1], "%s/backward_lstm_%d/lstm_cell_%d" % (base, 4 + i, 5 + 3 * i))[::-1]
                x = np.concatenate([forward, backward], -1)
            else:
                x = self.lstm(x, "lstm/lstm_%d/lstm_cell_%d" % (4 + i, 3 + i))
            x = self.norm(x, "lstm/layer_normalization" + ("" if i == 0 else "_%d" % i), 1e-3)
        return self.dense(x, "dense")


class Transformer(Model):
    def __init__(self, path):
        super().__init__(path)
        self.causal = "lookahead" in path

    def __call__(self, time, pitch):
        x = self.dense(self.inputs(time, pitch), "transformer/dense")
        T, C = x.shape
        angle = np.arange(T)[:, None] / 10000 ** (2 * (np.arange(C) // 2) / C)
        x = x + np.where(np.arange(C) % 2 == 0, np.sin(angle), np.cos(angle))
        visible = (pitch != 0)[None, :] & (np.tri(T, dtype=bool) if self.causal else True)
        for i in range(3):
            tail = "" if i == 0 else "_%d" % i
            base = "transformer/transformer_layer" + tail
            first = 1 + 6 * i
            names = ["%s/multi_head_attention%s/dense_%d" % (base, tail, first + k) for k in range(4)]
            norms = ["%s/layer_normalization%s" % (base, "" if k == 0 else "_%d" % k) for k in (2 * i, 2 * i + 1)]
            x = self.norm(x + self.attention(x, names, visible), norms[0], 1e-6)
            hidden = np.maximum(self.dense(x, "%s/sequential%s/dense_%d" % (base, tail, first + 4)), 0)
            x = self.norm(x + self.dense(hidden, "%s/sequential%s/dense_%d" % (base, tail, first + 5)), norms[1], 1e-6)
        return self.dense(x, "dense_19")


def load(folder, name):
    path = "%s/arranger_bach_%s_embedding.h5" % (folder, name)
    return (Lstm if "lstm" in name else Transformer)(path)


def notes_of(piece):
    """A note per onset: (time in 1/24 of a quarter, pitch, voice), in order."""
    notes = []
    for voice in range(4):
        before = None
        for step, chord in enumerate(piece):
            if chord[voice] is not None and chord[voice] > 0 and chord[voice] != before:
                notes.append((6 * step, int(chord[voice]), voice))
            before = chord[voice]
    return sorted(notes)


def accuracy(model, pieces):
    right = total = 0
    for piece in pieces:
        time, pitch, voice = np.array(notes_of(piece)[:500]).T
        guess = model(time, pitch + 1)[:, 1:].argmax(-1)
        right += (guess == voice).sum()
        total += len(voice)
    return right / total


def main():
    folder = sys.argv[1]
    # four chords of four voices, whole numbers from a rule: no random generator to agree on
    time = np.repeat(np.arange(6) * 12, 4)
    pitch = np.array([[72, 67, 64, 48], [71, 67, 62, 43], [72, 64, 60, 45], [74, 65, 62, 50], [71, 68, 62, 52], [72, 69, 60, 57]])
    pitch = pitch[:, ::-1].reshape(-1) + 1
    with open("tests/golden/arranger.txt", "w") as out:
        for name in MODELS:
            model = load(folder, name)
            y = model(time, pitch)
            out.write("case %s import\n" % name)
            for key, x in (("pitch", pitch), ("position", time % 24), ("beat", time // 24), ("y", y.T)):
                shape = (1, 1, len(x)) if x.ndim == 1 else (1, *x.shape)
                out.write("tensor %s 3 %d %d %d : %s\n" % (key, *shape, " ".join("%.9g" % v for v in x.reshape(-1))))
            out.write("end\n")
            print("%-22s" % name, y[:, 1:].argmax(-1))
            if len(sys.argv) > 2:
                pieces = json.load(open(sys.argv[2]))["test"]
                print("%-22s %.1f %% of the notes of %d pieces in the right voice" % (name, 100 * accuracy(model, pieces), len(pieces)))


main()
