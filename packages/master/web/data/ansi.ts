/**
 * Text of terminals as pieces with classes: colours and faces (SGR), what was overwritten after a carriage return or a backspace is gone, other control sequences
 * are left out. Pure; what comes out is only ever shown as text.
 */
import { CONTROL_CHARACTERS, CONTROL_SEQUENCE, overwritten } from "fleetcron-shared/model/plain-text";

export type Piece = { readonly text: string; readonly class: string; readonly color?: string; readonly background?: string };

type Style = { fg: string; bg: string; faces: ReadonlySet<string> };
const PLAIN: Style = { fg: "", bg: "", faces: new Set() };

const FACES: Readonly<Record<number, string>> = { 1: "bold", 2: "faint", 3: "italic", 4: "underline", 7: "inverse", 9: "struck" };
const OFF: Readonly<Record<number, readonly string[]>> = {
  22: ["bold", "faint"],
  23: ["italic"],
  24: ["underline"],
  27: ["inverse"],
  29: ["struck"],
};

/** Each line begins plain: a log is read from anywhere. */
export function ansiPieces(line: string): Piece[] {
  const text = overwritten(line);
  const pieces: Piece[] = [];
  let style = PLAIN;
  let from = 0;
  const take = (to: number) => {
    const piece = text.slice(from, to).replace(CONTROL_CHARACTERS, "");
    if (piece !== "") pieces.push(pieceOf(piece, style));
  };
  for (const match of text.matchAll(CONTROL_SEQUENCE)) {
    take(match.index);
    from = match.index + match[0].length;
    if (match[2] === "m") style = restyled(style, match[1] ?? "");
  }
  take(text.length);
  return pieces;
}

function restyled(style: Style, parameters: string): Style {
  const codes = parameters === "" ? [0] : parameters.split(/[;:]/).map(Number);
  let { fg, bg } = style;
  const faces = new Set(style.faces);
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i] ?? 0;
    if (code === 0) {
      fg = "";
      bg = "";
      faces.clear();
    } else if (FACES[code] !== undefined) faces.add(FACES[code]);
    else if (OFF[code] !== undefined) for (const face of OFF[code]) faces.delete(face);
    else if (code >= 30 && code <= 37) fg = String(code - 30);
    else if (code >= 90 && code <= 97) fg = String(code - 82);
    else if (code >= 40 && code <= 47) bg = String(code - 40);
    else if (code >= 100 && code <= 107) bg = String(code - 92);
    else if (code === 39) fg = "";
    else if (code === 49) bg = "";
    else if (code === 38 || code === 48) {
      const isRgb = codes[i + 1] === 2;
      const colour = isRgb ? rgb(codes.slice(i + 2, i + 5)) : codes[i + 1] === 5 ? ofPalette(codes[i + 2] ?? 0) : "";
      i += isRgb ? 4 : 2;
      if (code === 38) fg = colour;
      else bg = colour;
    }
  }
  return { fg, bg, faces };
}

function rgb(parts: readonly number[]): string {
  const [r = 0, g = 0, b = 0] = parts.map((part) => (Number.isInteger(part) ? Math.min(255, Math.max(0, part)) : 0));
  return `rgb(${r}, ${g}, ${b})`;
}

/** Of the 256: the first 16 are those of the appearance, then a cube of 6×6×6, then greys. */
function ofPalette(n: number): string {
  if (n < 16) return String(Math.max(0, Math.trunc(n) || 0));
  if (n >= 232) return rgb(Array(3).fill(8 + (n - 232) * 10));
  const level = (step: number) => (step === 0 ? 0 : 55 + step * 40);
  return rgb([level(Math.floor((n - 16) / 36)), level(Math.floor((n - 16) / 6) % 6), level((n - 16) % 6)]);
}

function pieceOf(text: string, { fg, bg, faces }: Style): Piece {
  const names = [...faces].map((face) => `a-${face}`);
  if (/^\d+$/.test(fg)) names.push(`a-fg${fg}`);
  if (/^\d+$/.test(bg)) names.push(`a-bg${bg}`);
  return {
    text,
    class: names.join(" "),
    ...(fg.startsWith("rgb") ? { color: fg } : {}),
    ...(bg.startsWith("rgb") ? { background: bg } : {}),
  };
}
