/** Colours code: cuts it into tokens by the table of its language and paints each by its role. */
import { type Language, languages, type Role } from './languages.ts';
import type { Style } from './style.ts';

export interface Token {
  readonly role: Role;
  readonly text: string;
}

/** The tokens of a text. Put together again they are the text. */
export function tokensOf(text: string, language: Language): readonly Token[] {
  const tokens: Token[] = [];
  let plain = 0;
  let at = 0;
  while (at < text.length) {
    const found = matchAt(text, at, language);
    if (found === null) {
      at++;
      continue;
    }
    if (plain < at) tokens.push({ role: 'plain', text: text.slice(plain, at) });
    tokens.push(found);
    at += found.text.length;
    plain = at;
  }
  if (plain < at) tokens.push({ role: 'plain', text: text.slice(plain) });
  return tokens;
}

function matchAt(text: string, at: number, language: Language): Token | null {
  for (const { role, pattern } of language) {
    pattern.lastIndex = at;
    const match = pattern.exec(text)?.[0];
    if (match !== undefined && match !== '') return { role, text: match };
  }
  return null;
}

/** The text painted as `extension` asks for ("layer", "kernel", "wat", "wgsl", "cu"); plain where it is unknown. */
export function highlight(text: string, extension: string, style: Style): string {
  const language = Object.hasOwn(languages, extension) ? languages[extension] : undefined;
  if (!style.coloured || language === undefined) return text;
  const paint: Readonly<Record<Role, (text: string) => string>> = {
    plain: (piece) => piece,
    comment: style.dim,
    keyword: style.magenta,
    type: style.accent,
    number: style.warn,
    string: style.good,
    name: style.blue,
    builtin: style.accent,
  };
  // A colour that runs over a line's end would be lost in pagers: each line is painted for itself.
  return tokensOf(text, language)
    .map((token) => token.text.split('\n').map(paint[token.role]).join('\n'))
    .join('');
}
