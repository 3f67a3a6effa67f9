#!/usr/bin/env python3
"""What each genre's drums play, as one picture: two bars and a fill of every level from bin/drum_track, a row per drum.

    tools/plot_drums.py docs/drums.png

A stroke is as high as it is loud and stands where it is played, early or late beside the lines of the beats.
"""
import pathlib
import subprocess
import sys
import tempfile

import mido
from PIL import Image, ImageDraw, ImageFont

GENRES = [("rock", 115), ("pop", 105), ("jazz", 140), ("classical", 90), ("blues", 100), ("country", 110), ("reggae", 78), ("disco", 118),
          ("metal", 150), ("hip-hop", 92)]
ROWS = [("cymbals", (49, 57, 54, 81), (200, 80, 160)), ("ride", (51, 53), (230, 150, 40)), ("open hat", (46,), (120, 190, 60)),
        ("hi-hat", (42, 44), (60, 160, 90)), ("toms", (41, 43, 45, 47, 48, 50), (150, 110, 220)),
        ("stick, clap", (37, 39), (90, 150, 230)), ("snare", (38, 40), (50, 100, 220)), ("bass drum", (35, 36), (210, 60, 60))]
BEAT, LINE, LEFT, TOP, GAP = 26, 9, 66, 16, 12
BARS = [(5, "quiet"), (13, "normal"), (21, "loud")] # drum_track: sections of eight bars, softer to louder: the last three bars of each
SHOWN = 3


def notes(path):
    midi, now, out = mido.MidiFile(path), 0, []
    for message in mido.merge_tracks(midi.tracks):
        now += message.time
        if message.type == "note_on" and message.velocity:
            out.append((now / midi.ticks_per_beat, message.note, message.velocity))
    return out


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    out = pathlib.Path(sys.argv[1])
    height = TOP + LINE * len(ROWS) + GAP
    block = SHOWN * 4 * BEAT + 14
    image = Image.new("RGB", (LEFT + len(BARS) * block, height * len(GENRES) + 6), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default()
    for g, (genre, bpm) in enumerate(GENRES):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "x.mid"
            subprocess.run(["bin/drum_track", genre, "-o", str(path), "--bpm", str(bpm), "--bars", "26", "--seed", "4"], check=True)
            played = notes(path)
        y = g * height + TOP
        for k, (bar, level) in enumerate(BARS):
            x = LEFT + k * block
            draw.text((x, y - 13), f"{genre}, {level}" if k else f"{genre}, {bpm} a minute, {level}", fill="black", font=font)
            for b in range(SHOWN * 4 + 1):
                draw.line((x + b * BEAT, y, x + b * BEAT, y + LINE * len(ROWS)), fill=(120, 120, 120) if b % 4 == 0 else (220, 220, 220))
            for r, (name, keys, colour) in enumerate(ROWS):
                if k == 0:
                    draw.text((2, y + r * LINE - 2), name, fill=(90, 90, 90), font=font)
                for beat, key, velocity in played:
                    at = beat - 4 * bar
                    if key in keys and -0.1 <= at < SHOWN * 4:
                        h, w = LINE * velocity / 127, 4
                        cx, cy = x + at * BEAT, y + (r + 0.5) * LINE
                        draw.rectangle((cx - 1, cy - h / 2, cx + w - 1, cy + h / 2), fill=colour)
    image.quantize(64).save(out)


if __name__ == "__main__":
    main()
