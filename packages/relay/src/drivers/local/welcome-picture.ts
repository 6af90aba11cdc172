import { crc32, deflateSync } from 'node:zlib';

type Colour = readonly [red: number, green: number, blue: number];

const WIDTH = 480;
const HEIGHT = 160;
const SKY_TOP: Colour = [28, 43, 74];
const SKY_BOTTOM: Colour = [244, 162, 97];
const HILL: Colour = [42, 111, 77];
const EARTH: Colour = [92, 64, 51];
const HOLE: Colour = [33, 22, 18];
const SUN: Colour = [255, 221, 148];

const mix = (a: Colour, b: Colour, share: number): Colour => [
  Math.round(a[0] + (b[0] - a[0]) * share),
  Math.round(a[1] + (b[1] - a[1]) * share),
  Math.round(a[2] + (b[2] - a[2]) * share),
];

/** Evening sky, a hill, and the two doors of a burrow joined under the ground. */
function colourAt(x: number, y: number): Colour {
  const ground = 92 - 26 * Math.sin((x / WIDTH) * Math.PI) - 5 * Math.sin(x / 23);
  if (y < ground) {
    if (Math.hypot(x - 372, y - 52) < 22) return SUN;
    return mix(SKY_TOP, SKY_BOTTOM, y / HEIGHT);
  }
  const door = (at: number): boolean => ((x - at) / 21) ** 2 + ((y - 104) / 25) ** 2 < 1;
  const tunnel = Math.abs(y - (104 + 26 * Math.sin(((x - 120) / 240) * Math.PI))) < 11;
  if (door(120) || door(360) || (tunnel && x > 120 && x < 360)) return HOLE;
  return y < ground + 9 ? HILL : EARTH;
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}

/** A PNG of 480 × 160 pixels, drawn here so that no binary file is kept. */
export function welcomePicture(): Buffer {
  const rows = Buffer.alloc(HEIGHT * (1 + WIDTH * 3));
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      const at = y * (1 + WIDTH * 3) + 1 + x * 3;
      rows.set(colourAt(x, y), at);
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(WIDTH, 0);
  header.writeUInt32BE(HEIGHT, 4);
  header.set([8, 2, 0, 0, 0], 8); // 8 bits a sample, RGB
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}
