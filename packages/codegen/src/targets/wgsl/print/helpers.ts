/**
 * Functions that printed kernels call, and the workgroup memory these use: folds and shuffles over the lanes of a
 * workgroup, extremes that keep NaN. Only what some kernel calls is printed.
 *
 * A fold leaves each lane's value in memory; a few lanes fold a few values each, then all lanes fold those, in the same
 * order, so that all hold the same bits. Two barriers are enough: who writes the first array again has passed the second
 * barrier, when it was read, and who writes the second array again has passed the first barrier of the next fold.
 */
import type { FoldOp, ValueType } from '../../../kernel-ir/types.ts';
import { type INFINITY, literal, type NAN, typeName, typeWord, unsignedName } from './literals.ts';
import type { Words } from './names.ts';

/** Names and texts of a module's helper functions. One per module. */
export class HelperTexts {
  readonly subgroups: boolean;
  readonly #words: Words;
  readonly #names = new Map<string, string>();
  readonly #texts: string[] = [];
  usesSubgroups = false;

  constructor(words: Words, subgroups: boolean) {
    this.#words = words;
    this.subgroups = subgroups;
  }

  get texts(): readonly string[] {
    return this.#texts;
  }

  /** The name of a helper; its text is made, after those it needs itself, when it is first asked for. */
  private once(key: string, write: (name: string) => readonly string[]): string {
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const name = this.#words.fresh(key);
    this.#names.set(key, name);
    const lines = write(name);
    this.#texts.push(lines.join('\n'));
    return name;
  }

  private memory(what: string, type: ValueType, length: number): string {
    return this.once(`${what}_${typeWord(type)}_${length}`, (name) => [
      `var<workgroup> ${name}: array<${typeName(type)}, ${length}>;`,
    ]);
  }

  isNan(type: ValueType): string {
    const { lanes } = type;
    const unsigned = unsignedName(lanes);
    const all = (bits: string): string => (lanes === 1 ? bits : `${unsigned}(${bits})`);
    const result = typeName({ scalar: 'bool', lanes });
    return this.once(`is_nan_${typeWord(type)}`, (name) => [
      '// By its bits: a compiler may take every comparison for one of numbers.',
      `fn ${name}(x: ${typeName(type)}) -> ${result} {`,
      `  return (bitcast<${unsigned}>(x) & ${all('0x7fffffffu')}) > ${all('0x7f800000u')};`,
      '}',
    ]);
  }

  extreme(op: 'max' | 'min', type: ValueType): string {
    const nan = this.isNan(type);
    const t = typeName(type);
    return this.once(`${op}_${typeWord(type)}`, (name) => [
      `// The ${op === 'max' ? 'larger' : 'smaller'}, or NaN where one is.`,
      `fn ${name}(a: ${t}, b: ${t}) -> ${t} {`,
      `  return select(select(${op}(a, b), b, ${nan}(b)), a, ${nan}(a));`,
      '}',
    ]);
  }

  /** f32 to i32: a NaN is 0, what is too large the largest. */
  toInteger(lanes: number): string {
    const type: ValueType = { scalar: 'f32', lanes };
    const result = typeName({ scalar: 'i32', lanes });
    const nan = this.isNan(type);
    return this.once(`to_${result}`, (name) => [
      `fn ${name}(x: ${typeName(type)}) -> ${result} {`,
      `  return select(${result}(x), ${result}(0), ${nan}(x));`,
      '}',
    ]);
  }

  /** How two values are folded. */
  private folded(op: FoldOp, type: ValueType, a: string, b: string): string {
    if (op === 'add') return `${a} + ${b}`;
    if (op === 'mul') return `${a} * ${b}`;
    return `${type.scalar === 'f32' ? this.extreme(op, type) : op}(${a}, ${b})`;
  }

  fold(op: FoldOp, type: ValueType, lanes: number): string {
    const key = `fold_${op}_${typeWord(type)}_${lanes}`;
    if (lanes === 1) return this.alone(key, type);
    return this.subgroups ? this.foldBySubgroups(key, op, type, lanes) : this.foldInMemory(key, op, type, lanes);
  }

  private alone(key: string, type: ValueType): string {
    const t = typeName(type);
    return this.once(key, (name) => [`fn ${name}(lane: i32, value: ${t}) -> ${t} {`, '  return value;', '}']);
  }

  private foldInMemory(key: string, op: FoldOp, type: ValueType, lanes: number): string {
    const few = 2 ** Math.floor(Math.log2(lanes) / 2);
    const values = this.memory('lane_values', type, lanes);
    const parts = this.memory('part_values', type, few);
    const t = typeName(type);
    const step = (a: string, b: string): string => this.folded(op, type, a, b);
    const [more, most] = [step('part', `${values}[i]`), step('total', `${parts}[i]`)];
    return this.once(key, (name) => [
      `// The values of all ${lanes} lanes, folded; every lane gets the same bits.`,
      `fn ${name}(lane: i32, value: ${t}) -> ${t} {`,
      `  ${values}[lane] = value;`,
      '  workgroupBarrier();',
      `  if (lane < ${few}) {`,
      `    var part = ${values}[lane];`,
      `    for (var i = lane + ${few}; i < ${lanes}; i += ${few}) {`,
      `      part = ${more};`,
      '    }',
      `    ${parts}[lane] = part;`,
      '  }',
      '  workgroupBarrier();',
      `  var total = ${parts}[0];`,
      `  for (var i = 1; i < ${few}; i++) {`,
      `    total = ${most};`,
      '  }',
      '  return total;',
      '}',
    ]);
  }

  /**
   * Hardware subgroups of any size, any dealing of lanes to them, full or not: every lane leaves its subgroup's part, for
   * sums and products only one lane of each and the others what changes nothing. Every subgroup then takes all of them.
   */
  private foldBySubgroups(key: string, op: FoldOp, type: ValueType, lanes: number): string {
    this.usesSubgroups = true;
    const values = this.memory('lane_values', type, lanes);
    const t = typeName(type);
    const within = this.subgroupFold(op, type);
    const one = (value: number): string => literal(value, type.scalar);
    const all = (text: string): string => (type.lanes === 1 ? text : `${t}(${text})`);
    const neutral = op === 'add' ? all(one(0)) : op === 'mul' ? all(one(1)) : null;
    return this.once(key, (name) => [
      `// The values of all ${lanes} lanes, folded. They are one subgroup of the machine ("together"), or several of any size.`,
      `fn ${name}(lane: i32, together: bool, value: ${t}) -> ${t} {`,
      `  let own = ${within}(value);`,
      '  if (together) {',
      '    return own;',
      '  }',
      `  ${values}[lane] = ${neutral === null ? 'own' : `select(${neutral}, own, subgroupElect())`};`,
      '  let count = i32(subgroupAdd(1u));',
      '  let rank = i32(subgroupExclusiveAdd(1u));',
      '  workgroupBarrier();',
      `  var part = ${values}[rank];`,
      `  for (var i = rank + count; i < ${lanes}; i += count) {`,
      `    part = ${this.folded(op, type, 'part', `${values}[i]`)};`,
      '  }',
      `  let total = ${within}(part);`,
      '  workgroupBarrier();',
      '  return total;',
      '}',
    ]);
  }

  /** The fold over a hardware subgroup. */
  private subgroupFold(op: FoldOp, type: ValueType): string {
    if (op === 'add') return 'subgroupAdd';
    if (op === 'mul') return 'subgroupMul';
    const plain = op === 'max' ? 'subgroupMax' : 'subgroupMin';
    if (type.scalar !== 'f32') return plain;
    const nan = this.isNan(type);
    const t = typeName(type);
    const u = unsignedName(type.lanes);
    return this.once(`subgroup_${op}_${typeWord(type)}`, (name) => [
      `fn ${name}(x: ${t}) -> ${t} {`,
      `  let nan = subgroupOr(select(${u}(0u), bitcast<${u}>(x), ${nan}(x)));`,
      `  return select(${plain}(x), bitcast<${t}>(nan), nan != ${u}(0u));`,
      '}',
    ]);
  }

  /** The value that one lane holds, told to all: the compiler sees that the result is the same for all. */
  told(type: ValueType): string {
    const t = typeName(type);
    const cell = this.once(`told_${typeWord(type)}`, (name) => [`var<workgroup> ${name}: ${t};`]);
    return this.once(`from_lane_${typeWord(type)}`, (name) => [
      '// What one lane holds, told to all: the same lane for all of them.',
      `fn ${name}(lane: i32, value: ${t}, source: i32) -> ${t} {`,
      '  if (lane == source) {',
      `    ${cell} = value;`,
      '  }',
      `  return workgroupUniformLoad(&${cell});`,
      '}',
    ]);
  }

  /** The value of a lane that may be another one for each. */
  shuffle(type: ValueType, lanes: number): string {
    const values = this.memory('lane_values', type, lanes);
    const t = typeName(type);
    return this.once(`shuffle_${typeWord(type)}_${lanes}`, (name) => [
      '// What another lane holds.',
      `fn ${name}(lane: i32, value: ${t}, source: i32) -> ${t} {`,
      `  ${values}[lane] = value;`,
      '  workgroupBarrier();',
      `  let result = ${values}[source];`,
      '  workgroupBarrier();',
      '  return result;',
      '}',
    ]);
  }

  /** Whether a whole workgroup is one hardware subgroup: known once it runs. */
  together(lanes: number): readonly [string, string] {
    this.usesSubgroups = true;
    return [this.told({ scalar: 'bool', lanes: 1 }), `subgroupAdd(1u) == ${lanes}u`];
  }
}

/** The helpers as one kernel calls them; notes what its first lines must define. */
export class Helpers {
  readonly #texts: HelperTexts;
  readonly #lanes: number;
  readonly #lane: string;
  readonly #together: string;
  readonly #needed = new Set<string>();

  /** `lane` and `together`: local names, of the number of the thread and of whether one hardware subgroup has them all. */
  constructor(texts: HelperTexts, lanes: number, lane: string, together: string) {
    this.#texts = texts;
    this.#lanes = lanes;
    this.#lane = lane;
    this.#together = together;
  }

  needs(what: typeof INFINITY | typeof NAN): string {
    this.#needed.add(what);
    return what;
  }

  lane(): string {
    this.#needed.add(this.#lane);
    return this.#lane;
  }

  extreme(op: 'max' | 'min', type: ValueType): string {
    return this.#texts.extreme(op, type);
  }

  toInteger(lanes: number): string {
    return this.#texts.toInteger(lanes);
  }

  fold(op: FoldOp, type: ValueType): string {
    return this.#texts.fold(op, type, this.#lanes);
  }

  foldArguments(): readonly string[] {
    if (!this.#texts.subgroups || this.#lanes === 1) return [this.lane()];
    this.#needed.add(this.#together);
    return [this.lane(), this.#together];
  }

  told(type: ValueType): string {
    return this.#texts.told(type);
  }

  shuffle(type: ValueType): string {
    return this.#texts.shuffle(type, this.#lanes);
  }

  /** Whether something printed so far uses the name. */
  has(name: string): boolean {
    return this.#needed.has(name);
  }
}
