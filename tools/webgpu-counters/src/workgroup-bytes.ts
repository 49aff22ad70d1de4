/**
 * Bytes of workgroup memory that a WGSL entry point declares. Shaders of other programs name their sizes (constants, aliases,
 * structures, overrides set at pipeline creation), so declarations are tokenised and evaluated; sizes and alignments are those
 * of WGSL's chapter "Memory layout". What is not understood is an error: a count that guesses is no count.
 */

type Token = string;

/** A module's declarations, as token lists; only what sizes need. */
interface Declarations {
  readonly constants: ReadonlyMap<string, readonly Token[]>;
  readonly aliases: ReadonlyMap<string, readonly Token[]>;
  readonly structures: ReadonlyMap<string, readonly (readonly Token[])[]>;
  readonly variables: ReadonlyMap<string, readonly Token[]>;
  /** Words in the body of each function. */
  readonly functions: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Values of `override` declarations that a pipeline sets. */
export type Overrides = Readonly<Record<string, number>>;

/**
 * Bytes of all `var<workgroup>` that `entryPoint` reaches; without a name, that any function does.
 *
 * @throws Error for a size or type that is not understood
 */
export function workgroupBytes(source: string, entryPoint?: string, overrides: Overrides = {}): number {
  const found = declarationsOf(tokensOf(source));
  const used = reachable(found.functions, entryPoint === undefined ? [...found.functions.keys()] : [entryPoint]);
  const sizes = layoutsOf(found, overrides);
  let bytes = 0;
  for (const [name, type] of found.variables) if (used.has(name)) bytes += sizes(type).size;
  return bytes;
}

/** Tokens without comments. Of `>>` each angle is its own token, because templates nest. */
function tokensOf(source: string): readonly Token[] {
  const text = source.replace(/\/\/.*$/gm, ' ').replace(/\/\*[\s\S]*?\*\//g, ' ');
  return text.match(/0[xX][0-9a-fA-F]+[iu]?|\d[\w.]*|[\p{L}_]\w*|\S/gu) ?? [];
}

/** Splits at `separator` outside all brackets. */
function splitAt(tokens: readonly Token[], separator: Token): readonly (readonly Token[])[] {
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if ('([{<'.includes(token)) depth++;
    if (')]}>'.includes(token)) depth--;
    if (token === separator && depth === 0) parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts.filter((part) => part.length > 0);
}

/** Index after the brace that closes the one at `start`. */
function closing(tokens: readonly Token[], start: number): number {
  let depth = 0;
  for (let i = start; i < tokens.length; i++) {
    if (tokens[i] === '{') depth++;
    else if (tokens[i] === '}' && --depth === 0) return i + 1;
  }
  return tokens.length;
}

/** Drops attributes such as `@align(16)`; their effect on layout is refused where it would matter. */
function bare(tokens: readonly Token[]): readonly Token[] {
  const first = tokens[0];
  if (first !== '@') return tokens;
  if (tokens[1] === 'align' || tokens[1] === 'size') throw new Error(`@${tokens[1]} in a structure is not understood`);
  if (tokens[2] !== '(') return bare(tokens.slice(2));
  return bare(tokens.slice(tokens.indexOf(')') + 1));
}

function declarationsOf(tokens: readonly Token[]): Declarations {
  const constants = new Map<string, readonly Token[]>();
  const aliases = new Map<string, readonly Token[]>();
  const structures = new Map<string, readonly (readonly Token[])[]>();
  const variables = new Map<string, readonly Token[]>();
  const functions = new Map<string, ReadonlySet<string>>();
  for (let i = 0; i < tokens.length; ) {
    const keyword = tokens[i] as Token;
    if (keyword === 'fn' || keyword === 'struct') {
      const name = tokens[i + 1] as Token;
      const open = tokens.indexOf('{', i);
      const end = closing(tokens, open);
      if (keyword === 'fn') functions.set(name, new Set(tokens.slice(i, end)));
      else {
        const members = splitAt(tokens.slice(open + 1, end - 1), ',');
        structures.set(
          name,
          members.map((member) => bare(member).slice(2)),
        );
      }
      i = end;
      continue;
    }
    const semicolon = tokens.indexOf(';', i);
    const end = semicolon < 0 ? tokens.length : semicolon;
    const statement = tokens.slice(i, end);
    if (keyword === 'const' || keyword === 'override') {
      const equals = statement.indexOf('=');
      if (equals > 0) constants.set(statement[1] as Token, statement.slice(equals + 1));
      else constants.set(statement[1] as Token, []);
      i = end + 1;
    } else if (keyword === 'alias') {
      aliases.set(statement[1] as Token, statement.slice(3));
      i = end + 1;
    } else if (keyword === 'var') {
      if (statement.slice(1, 4).join('') === '<workgroup>') variables.set(statement[4] as Token, statement.slice(6));
      i = end + 1;
    } else i++;
  }
  return { constants, aliases, structures, variables, functions };
}

/** All words that the functions use, by way of what they call too. */
function reachable(functions: Declarations['functions'], names: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>();
  const open = [...names];
  for (let word = open.pop(); word !== undefined; word = open.pop()) {
    if (seen.has(word)) continue;
    seen.add(word);
    open.push(...(functions.get(word) ?? []));
  }
  return seen;
}

interface Layout {
  readonly size: number;
  readonly align: number;
}

const scalarBytes: ReadonlyMap<string, number> = new Map([
  ['f32', 4],
  ['i32', 4],
  ['u32', 4],
  ['bool', 4],
  ['f16', 2],
]);
const shortScalars: ReadonlyMap<string, string> = new Map([
  ['f', 'f32'],
  ['i', 'i32'],
  ['u', 'u32'],
  ['h', 'f16'],
]);

const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step;

const vector = (lanes: number, scalar: Layout): Layout => ({
  size: lanes * scalar.size,
  align: (lanes === 3 ? 4 : lanes) * scalar.size,
});

function layoutsOf({ constants, aliases, structures }: Declarations, overrides: Overrides) {
  const evaluate = evaluator(constants, overrides);

  function layoutOf(type: readonly Token[]): Layout {
    const [name = '', ...rest] = type;
    const bytes = scalarBytes.get(name);
    if (bytes !== undefined) return { size: bytes, align: bytes };
    const alias = aliases.get(name);
    if (alias !== undefined) return layoutOf(alias);
    const members = structures.get(name);
    if (members !== undefined) return structure(members.map(layoutOf));
    const parts = splitAt(rest.slice(1, -1), ',');
    if (name === 'atomic') return layoutOf(parts[0] ?? []);
    if (name === 'array' && parts.length === 2) {
      const element = layoutOf(parts[0] ?? []);
      return { size: evaluate(parts[1] ?? []) * roundUp(element.size, element.align), align: element.align };
    }
    const [, kind, first, second, short] = /^(vec|mat)([234])(?:x([234]))?([fiuh])?$/.exec(name) ?? [];
    const scalar = short === undefined ? (parts[0] ?? []) : [shortScalars.get(short) ?? ''];
    if (kind === undefined || scalar.length === 0) throw new Error(`type ${type.join('')} is not understood`);
    if (kind === 'vec') return vector(Number(first), layoutOf(scalar));
    const column = vector(Number(second), layoutOf(scalar));
    return { size: Number(first) * roundUp(column.size, column.align), align: column.align };
  }

  return layoutOf;
}

function structure(members: readonly Layout[]): Layout {
  const align = members.reduce((most, member) => Math.max(most, member.align), 1);
  const end = members.reduce((at, member) => roundUp(at, member.align) + member.size, 0);
  return { size: roundUp(end, align), align };
}

/** Integer constant expressions: + − · / % with brackets, conversions, `min` and `max`. */
function evaluator(constants: Declarations['constants'], overrides: Overrides) {
  return function evaluate(tokens: readonly Token[]): number {
    let at = 0;
    const refuse = (): never => {
      throw new Error(`size ${tokens.join(' ')} is not understood`);
    };
    const take = (token: Token): void => {
      if (tokens[at++] !== token) refuse();
    };
    function primary(): number {
      const token = tokens[at++] ?? refuse();
      if (token === '(') {
        const value = sum();
        take(')');
        return value;
      }
      if (/^\d/.test(token)) {
        const value = Number(token.replace(/(?<!^0[xX].*)[iufh]$/, '').replace(/(?<=^0[xX].*)[iu]$/, ''));
        return Number.isInteger(value) ? value : refuse();
      }
      if (tokens[at] === '(') {
        at++;
        const values = [sum()];
        while (tokens[at] === ',') {
          at++;
          values.push(sum());
        }
        take(')');
        if (['u32', 'i32'].includes(token) && values.length === 1) return values[0] as number;
        if (token === 'min') return Math.min(...values);
        if (token === 'max') return Math.max(...values);
        return refuse();
      }
      const set = overrides[token];
      if (set !== undefined) return set;
      const constant = constants.get(token);
      return constant === undefined || constant.length === 0 ? refuse() : evaluate(constant);
    }
    function product(): number {
      let value = primary();
      for (let operator = tokens[at]; operator === '*' || operator === '/' || operator === '%'; operator = tokens[at]) {
        at++;
        const right = primary();
        value = operator === '*' ? value * right : operator === '/' ? Math.trunc(value / right) : value % right;
      }
      return value;
    }
    function sum(): number {
      let value = product();
      for (let operator = tokens[at]; operator === '+' || operator === '-'; operator = tokens[at]) {
        at++;
        const right = product();
        value = operator === '+' ? value + right : value - right;
      }
      return value;
    }
    const value = sum();
    return at === tokens.length ? value : refuse();
  };
}
