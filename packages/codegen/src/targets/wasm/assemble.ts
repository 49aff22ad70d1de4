/**
 * WebAssembly text to binary, for the text that `print` writes: folded instructions, functions exported where they stand, one
 * imported memory. A general assembler takes longer to load than this takes for a whole model; a test compares the two, byte by
 * byte. What the engine will not run it says when it loads the binary.
 */
import { Bytes } from './bytes.ts';
import { instructions } from './instructions.ts';

/** Throws for text beyond what `print` writes: that is a bug of the printer, and the message says where. */
export async function assemble(source: string, name: string): Promise<Uint8Array> {
  return new Assembler(source, name).module();
}

/** Comments, strings, parentheses and words. */
const TOKENS = /;;[^\n]*|"[^"]*"|[()]|[^\s()";]+/g;

const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const SECTIONS = { types: 1, imports: 2, functions: 3, exports: 7, code: 10 } as const;
const TYPES: Readonly<Record<string, number>> = { i32: 0x7f, f32: 0x7d, v128: 0x7b };
const [FUNCTION_TYPE, FUNCTION, MEMORY, NO_RESULT] = [0x60, 0x00, 0x02, 0x40];
const [LOOP, IF, ELSE, END, BRANCH_IF] = [0x03, 0x04, 0x05, 0x0b, 0x0d];
const [LOCAL_GET, LOCAL_SET, I32_CONST, F32_CONST] = [0x20, 0x21, 0x41, 0x43];
const V128_CONST = [0xfd, 0x0c];

/** A section's entries and how many there are. */
class Section {
  readonly bytes = new Bytes();
  count = 0;
}

class Assembler {
  readonly #tokens: readonly string[];
  readonly #source: string;
  readonly #name: string;
  #at = 0;
  readonly #sections: Readonly<Record<keyof typeof SECTIONS, Section>> = {
    types: new Section(),
    imports: new Section(),
    functions: new Section(),
    exports: new Section(),
    code: new Section(),
  };
  /** Numbers of function types, by their parameters. */
  readonly #types = new Map<string, number>();
  #locals = new Map<string, number>();
  /** Labels of the blocks around an instruction, innermost last; null for one without. */
  #labels: (string | null)[] = [];
  #code = new Bytes();
  readonly #float = new DataView(new ArrayBuffer(4));

  constructor(source: string, name: string) {
    this.#source = source;
    this.#name = name;
    this.#tokens = (source.match(TOKENS) ?? []).filter((token) => !token.startsWith(';;'));
  }

  module(): Uint8Array {
    this.#open('module');
    while (this.#tokens[this.#at] === '(') {
      this.#at++;
      const field = this.#next();
      if (field === 'import') this.#import();
      else if (field === 'func') this.#function();
      else this.#fail(field);
    }
    this.#close();
    const binary = new Bytes();
    binary.all(MAGIC);
    for (const name of Object.keys(SECTIONS) as (keyof typeof SECTIONS)[]) {
      const { bytes, count } = this.#sections[name];
      if (count === 0) continue;
      const section = new Bytes();
      section.unsigned(count);
      section.all(bytes.whole);
      binary.byte(SECTIONS[name]);
      binary.sized(section.whole);
    }
    return binary.whole.slice();
  }

  /** import "env" "memory" (memory LEAST MOST) */
  #import(): void {
    const { bytes } = this.#sections.imports;
    this.#sections.imports.count++;
    bytes.text(this.#string());
    bytes.text(this.#string());
    this.#open('memory');
    bytes.all([MEMORY, 0x01]);
    bytes.unsigned(this.#number());
    bytes.unsigned(this.#number());
    this.#close();
    this.#close();
  }

  /** func (export NAME) (param $NAME TYPE)* (local $NAME TYPE)* INSTRUCTION* */
  #function(): void {
    const { exports, functions, code } = this.#sections;
    this.#open('export');
    exports.bytes.text(this.#string());
    exports.bytes.byte(FUNCTION);
    exports.bytes.unsigned(exports.count++);
    this.#close();
    this.#locals = new Map();
    const parameters = this.#variables('param');
    const locals = this.#variables('local');
    functions.bytes.unsigned(this.#typeOf(parameters));
    functions.count++;
    this.#code = new Bytes();
    this.#runs(locals);
    this.#block();
    this.#code.byte(END);
    code.bytes.sized(this.#code.whole);
    code.count++;
    this.#close();
  }

  /** Declares what stands next as parameters or locals; their types. */
  #variables(kind: 'param' | 'local'): readonly number[] {
    const types: number[] = [];
    while (this.#tokens[this.#at + 1] === kind) {
      this.#open(kind);
      this.#locals.set(this.#next(), this.#locals.size);
      const type = this.#next();
      types.push(TYPES[type] ?? this.#fail(type));
      this.#close();
    }
    return types;
  }

  #typeOf(parameters: readonly number[]): number {
    const { types } = this.#sections;
    const key = parameters.join();
    let number = this.#types.get(key);
    if (number === undefined) {
      number = types.count++;
      this.#types.set(key, number);
      types.bytes.byte(FUNCTION_TYPE);
      types.bytes.sized(Uint8Array.from(parameters));
      types.bytes.unsigned(0);
    }
    return number;
  }

  /** Declarations of locals: neighbours of one type together. */
  #runs(types: readonly number[]): void {
    const starts = types.flatMap((type, i) => (type === types[i - 1] ? [] : [i]));
    this.#code.unsigned(starts.length);
    starts.forEach((start, i) => {
      this.#code.unsigned((starts[i + 1] ?? types.length) - start);
      this.#code.byte(types[start] as number);
    });
  }

  /** Instructions up to the closing parenthesis. */
  #block(): void {
    while (this.#tokens[this.#at] === '(') this.#instruction();
  }

  #instruction(): void {
    this.#at++;
    const name = this.#next();
    const code = this.#code;
    switch (name) {
      case 'local.get':
        code.byte(LOCAL_GET);
        code.unsigned(this.#local());
        break;
      case 'local.set': {
        const local = this.#local();
        this.#instruction();
        code.byte(LOCAL_SET);
        code.unsigned(local);
        break;
      }
      case 'i32.const':
        code.byte(I32_CONST);
        code.signed(this.#number() | 0);
        break;
      case 'f32.const':
        code.byte(F32_CONST);
        this.#word(true);
        break;
      case 'v128.const': {
        const isFloat = this.#next() === 'f32x4';
        code.all(V128_CONST);
        for (let lane = 0; lane < 4; lane++) this.#word(isFloat);
        break;
      }
      case 'loop':
        code.all([LOOP, NO_RESULT]);
        this.#inside(this.#next());
        code.byte(END);
        break;
      case 'if':
        this.#if();
        break;
      case 'br_if': {
        const label = this.#next();
        const depth = this.#labels.length - 1 - this.#labels.lastIndexOf(label);
        if (depth === this.#labels.length) this.#fail(label);
        this.#instruction();
        code.byte(BRANCH_IF);
        code.unsigned(depth);
        break;
      }
      default:
        this.#operation(name);
    }
    this.#close();
  }

  /** if CONDITION (then …) (else …)? */
  #if(): void {
    this.#instruction();
    this.#code.all([IF, NO_RESULT]);
    this.#open('then');
    this.#inside(null);
    this.#close();
    if (this.#tokens[this.#at] === '(') {
      this.#open('else');
      this.#code.byte(ELSE);
      this.#inside(null);
      this.#close();
    }
    this.#code.byte(END);
  }

  #inside(label: string | null): void {
    this.#labels.push(label);
    this.#block();
    this.#labels.pop();
  }

  /** What follows the name stands before the operands in the text and behind the code in the binary. */
  #operation(name: string): void {
    const { code, follows } = instructions.get(name) ?? this.#fail(name);
    let number = 0;
    if (follows === 'lane') number = this.#number();
    else if (follows !== 'nothing' && this.#tokens[this.#at]?.startsWith(OFFSET))
      number = Number(this.#next().slice(OFFSET.length));
    this.#block();
    for (const byte of code) this.#code.byte(byte);
    if (follows === 'lane') this.#code.byte(number);
    else if (follows !== 'nothing') {
      this.#code.unsigned(follows.alignment);
      this.#code.unsigned(number);
    }
  }

  /** Four bytes of a constant. */
  #word(isFloat: boolean): void {
    if (isFloat) this.#float.setFloat32(0, this.#number(), true);
    else this.#float.setInt32(0, this.#number(), true);
    for (let i = 0; i < 4; i++) this.#code.byte(this.#float.getUint8(i));
  }

  #local(): number {
    const name = this.#next();
    return this.#locals.get(name) ?? this.#fail(name);
  }

  #next(): string {
    return this.#tokens[this.#at++] ?? this.#fail('its end');
  }

  #string(): string {
    return this.#next().slice(1, -1);
  }

  #number(): number {
    const text = this.#next();
    const value = NAMED_NUMBERS[text] ?? Number(text);
    if (Number.isNaN(value) && text !== 'nan') this.#fail(text);
    return value;
  }

  #open(what: string): void {
    if (this.#next() !== '(' || this.#next() !== what) this.#fail(this.#tokens[this.#at - 1] ?? what);
  }

  #close(): void {
    const token = this.#next();
    if (token !== ')') this.#fail(token);
  }

  #fail(token: string): never {
    const places = [...this.#source.matchAll(TOKENS)].filter(([token]) => !token.startsWith(';;'));
    const index = places[this.#at - 1]?.index ?? this.#source.length;
    const line = this.#source.slice(0, index).split('\n').length;
    throw new Error(`${this.#name}.wat, line ${line}: ${token} is not what the assembler knows there`);
  }
}

const OFFSET = 'offset=';
const NAMED_NUMBERS: Readonly<Record<string, number>> = { inf: Infinity, '-inf': -Infinity, nan: Number.NaN };
